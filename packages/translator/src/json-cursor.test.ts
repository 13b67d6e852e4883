import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { JsonCursor } from './json-cursor.ts'
import { toJson } from './one-off.ts'
import { JsonView } from './view.ts'

/** The JSON text of what is left of a walk. `between` is called before every step. */
function textOf(cursor: JsonCursor, between: () => void = () => undefined): string {
  let text = ''
  const closers: string[] = []
  for (;;) {
    between()
    const step = cursor.next()
    if (step === 'end') return text
    if (step === 'pause') continue
    if (step === 'close') {
      text += closers.pop()
      continue
    }
    if (text !== '' && !/[[{]$/.test(text)) text += ','
    if (closers.at(-1) === '}') text += `${JSON.stringify(cursor.key)}:`
    if (step === 'value') text += JSON.stringify(cursor.value)
    else {
      text += step === 'object' ? '{' : '['
      closers.push(step === 'object' ? '}' : ']')
    }
  }
}

const mounts = {
  '': { kind: 'map', name: 'state' },
  '/list': { kind: 'array', name: 'list' },
  '/page': { kind: 'xml', name: 'page' },
  '/notes/text': { kind: 'text', name: 'text' },
} as const
const texts = { '/notes/text': 'lines' } as const

/** One change of some kind somewhere. */
function edit(doc: Y.Doc, choice: number): void {
  const state = doc.getMap('state')
  const list = doc.getArray('list')
  const page = doc.getXmlFragment('page')
  const text = doc.getText('text')
  switch (choice % 11) {
    case 0:
      return void state.set(`k${choice % 9}`, { b: [choice, { c: null }], a: -0, u: undefined })
    case 1:
      return void state.set(`m${choice % 3}`, new Y.Map([[`x${choice % 5}`, choice]]))
    case 2:
      return state.delete(`k${choice % 9}`)
    case 3:
      return list.insert(choice % (list.length + 1), [choice, new Y.Array(), new Uint8Array([choice % 256])])
    case 4:
      return list.length > 2 ? list.delete(choice % (list.length - 1), 2) : undefined
    case 5: {
      const element = new Y.XmlElement(choice % 2 === 0 ? 'paragraph' : 'heading')
      element.setAttribute('level', `${choice % 3}`)
      element.insert(0, [new Y.XmlText(`words ${choice}`), new Y.XmlElement('break')])
      return page.insert(choice % (page.length + 1), [element])
    }
    case 6:
      return page.length > 1 ? page.delete(choice % page.length, 1) : undefined
    case 7:
      return text.insert(choice % (text.length + 1), `line\n${choice}`)
    case 8:
      return text.length > 4 ? text.delete(choice % (text.length - 3), 3) : undefined
    case 9: {
      const child = state.get(`m${choice % 3}`)
      return child instanceof Y.Map ? void child.set('inner', new Y.Array()) : undefined
    }
    default:
      doc.getMap('other').set('by itself', choice)
  }
}

describe('JsonCursor', () => {
  test('walks through what reading gives, in the same order', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(10_000), { maxLength: 60 }), (choices) => {
        const doc = new Y.Doc({ gc: false })
        const view = new JsonView(doc, { mounts, texts })
        for (const choice of choices) edit(doc, choice)
        expect(textOf(view.cursor())).toBe(JSON.stringify(view.read()))
        for (const pointer of ['/list', '/page', '/notes', '/notes/text', '/page/content', '/m1'])
          if (pointer !== '/m1' || doc.getMap('state').has('m1'))
            expect(textOf(view.cursor({ pointer }))).toBe(JSON.stringify(view.read({ pointer })))
      }),
      { seed: 20261125, numRuns: 150 },
    )
  })

  test('shows its version to the end, whatever is edited between two steps', () => {
    let overtaken = 0
    fc.assert(
      fc.property(
        fc.array(fc.nat(10_000), { minLength: 5, maxLength: 60 }),
        fc.array(fc.nat(10_000), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 5 }),
        (before, meanwhile, pace) => {
          const doc = new Y.Doc({ gc: false })
          const view = new JsonView(doc, { mounts, texts })
          for (const choice of before) edit(doc, choice)
          const expected = JSON.stringify(view.read())
          const waiting = [...meanwhile]
          let step = 0
          const text = textOf(view.cursor(), () => {
            step += 1
            if (step % pace !== 0) return
            const choice = waiting.shift()
            if (choice !== undefined) edit(doc, choice)
          })
          expect(text).toBe(expected)
          if (JSON.stringify(view.read()) !== expected) overtaken += 1
        },
      ),
      { seed: 20261125, numRuns: 400 },
    )
    expect(overtaken).toBeGreaterThan(200)
  })

  test('an older version is walked through as it was', () => {
    const doc = new Y.Doc({ gc: false })
    const view = new JsonView(doc, { mounts, texts })
    for (let choice = 0; choice < 200; choice++) edit(doc, choice * 7)
    const at = view.version
    const expected = JSON.stringify(view.read())
    for (let choice = 0; choice < 200; choice++) edit(doc, choice * 13)
    expect(textOf(view.cursor({ at }))).toBe(expected)
  })

  test('large maps and lists with long histories come in order, and never take long', () => {
    const doc = new Y.Doc({ gc: false })
    const view = new JsonView(doc)
    const state = doc.getMap('state')
    doc.transact(() => {
      for (let index = 0; index < 30_000; index++) state.set(`k${(index * 7_919) % 30_000}`, index)
      for (let index = 0; index < 15_000; index++) state.delete(`k${index * 2}`)
      const list = doc.getArray('list')
      list.push(Array.from({ length: 20_000 }, (_, index) => index))
      list.delete(100, 19_000)
    })
    let steps = 0
    expect(textOf(view.cursor(), () => (steps += 1))).toBe(JSON.stringify(toJson(doc)))
    expect(steps).toBeGreaterThan(16_000)
  })

  test('says when its version has been collected', () => {
    const doc = new Y.Doc()
    const view = new JsonView(doc)
    doc.getMap('state').set('a', 1)
    const cursor = view.cursor()
    expect(cursor.next()).toBe('object')
    doc.getMap('state').set('a', 2)
    expect(() => cursor.next()).toThrow(expect.objectContaining({ code: 'revision-expired' }))
    expect(() => view.cursor({ pointer: '/b' })).toThrow(
      expect.objectContaining({ code: 'pointer-not-found' }),
    )
  })
})

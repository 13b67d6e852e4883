import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { jsonEquals, type JsonValue } from './json-value.ts'
import { JsonMirror, patched } from './mirror.ts'
import { text, xml } from './mounts.ts'
import type { JsonPatch } from './patch.ts'
import { formatPointer } from './pointer.ts'
import { parseVersion, type Version } from './version.ts'
import { JsonView } from './view.ts'

// Patches are applied by `patched`, which does nothing but set, insert and delete: a wrong pointer shows.

interface Step {
  readonly who: number
  readonly what: number
  readonly at: number
  readonly size: number
}

const steps = fc.array(fc.record({ who: fc.nat(3), what: fc.nat(15), at: fc.nat(1_000), size: fc.nat(5) }), {
  minLength: 10,
  maxLength: 60,
  size: 'max',
})
const layout = {
  mounts: { '/text': text('text'), '/lines': text('lines'), '/page': xml('page') },
  texts: { '/lines': 'lines', '/l/*/body': 'string' },
} as const

describe('a view of a document that several people edit', () => {
  it.each([true, false])('diffs from every version, and reads it (gc: %s)', (gc) => {
    let stale = 0
    fc.assert(
      fc.property(steps, (steps) => {
        const docs = [0, 1, 2].map((i) => {
          const doc = new Y.Doc({ gc: i === 0 ? gc : true })
          doc.clientID = i + 1
          return doc
        })
        const [main] = docs as [Y.Doc, ...Y.Doc[]]
        const undo = new Y.UndoManager([main.getMap('state'), main.getText('text')], { captureTimeout: 0 })
        const view = new JsonView(main, layout)
        const mirror = new JsonMirror(view)
        const seen: { version: Version; json: JsonValue }[] = [{ version: view.version, json: view.read() }]
        for (const step of steps) {
          const doc = docs[step.who % 3] ?? main
          if (step.what === 15) undo.undo()
          else if (step.what === 14) undo.redo()
          else if (step.what >= 11) {
            const from = docs[step.at % 3] ?? main
            Y.applyUpdate(doc, Y.encodeStateAsUpdate(from, Y.encodeStateVector(doc)))
          } else if (step.size > 3)
            doc.transact(() => [0, 1, 2].forEach((i) => edit(doc, { ...step, what: (step.what + i) % 11 })))
          else edit(doc, step)
          const now = view.read()
          for (const { version, json } of seen) {
            const patch = view.diff(version)
            for (const { path } of patch) expect(path).not.toContain('__proto__')
            expect(patched(json, patch)).toEqual(now)
            if (!gc) expect(view.read({ at: parseVersion(version.toString()) })).toEqual(json)
            stale += patch.length
          }
          expect(view.diff(view.version)).toEqual([])
          expect(mirror.value).toEqual(now)
          if (step.at % 3 === 0) seen.push({ version: view.version, json: structuredClone(now) })
        }
        view.destroy()
        mirror.destroy()
      }),
      { seed: gc ? 11 : 12, numRuns: 60 },
    )
    expect(stale).toBeGreaterThan(1_000)
  })

  it('patches of agents that are behind meet nobody else, and their authors see what they expect', () => {
    let patches = 0
    fc.assert(
      fc.property(
        steps,
        fc.array(fc.record({ agent: fc.nat(2), at: fc.nat(1_000), what: fc.nat(6) }), {
          maxLength: 60,
          size: 'max',
        }),
        (steps, moves) => {
          const doc = new Y.Doc({ gc: false })
          doc.clientID = 1
          const other = new Y.Doc()
          other.clientID = 2
          const view = new JsonView(doc)
          const agents: Version[] = [view.version, view.version, view.version]
          for (const [i, move] of moves.entries()) {
            const step = steps[i % Math.max(1, steps.length)]
            if (step !== undefined) edit(step.who > 1 ? other : doc, { ...step, what: step.what % 6 })
            if (move.at % 4 === 0) {
              Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
              Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
            }
            const at = agents[move.agent] ?? view.version
            const before = view.read({ at })
            const patch = randomPatch(before, move)
            const result = view.apply(patch, { at })
            patches++
            if (result.conflicts.length === 0)
              expect(view.read({ at: result.version })).toEqual(patched(before, patch))
            agents[move.agent] = move.at % 5 === 0 ? view.version : result.version
            // What the feed of an agent would bring it leads to the state from what it sees.
            expect(patched(view.read({ at: result.version }), view.diff(result.version))).toEqual(view.read())
          }
          Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
          Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
          const fresh = new Y.Doc()
          Y.applyUpdate(fresh, Y.encodeStateAsUpdate(doc))
          expect(fresh.getMap('state').toJSON()).toEqual(other.getMap('state').toJSON())
          view.destroy()
        },
      ),
      { seed: 13, numRuns: 100 },
    )
    expect(patches).toBeGreaterThan(300)
  })

  it('a patch is refused as a whole', () => {
    const doc = new Y.Doc()
    const view = new JsonView(doc)
    view.assign({ a: [1, { b: 2 }] })
    const before = Y.encodeStateAsUpdate(doc)
    const bad: [JsonPatch, string][] = [
      [
        [
          { op: 'remove', path: '/a/0' },
          { op: 'test', path: '/a/0/b', value: 3 },
        ],
        'test-failed',
      ],
      [
        [
          { op: 'remove', path: '/a/0' },
          { op: 'remove', path: '/a/1' },
        ],
        'invalid-patch',
      ],
      [[{ op: 'add', path: '/a/01', value: 1 }], 'invalid-patch'],
      [[{ op: 'move', from: '/a', path: '/a/0' }], 'invalid-patch'],
      [[{ op: 'add', path: '', value: [] }], 'invalid-value'],
      [[{ op: 'add', path: '/x', value: new Date() as never }], 'invalid-value'],
    ]
    for (const [patch, code] of bad)
      expect(() => view.apply(patch)).toThrow(expect.objectContaining({ code }))
    expect(() => view.apply([{ op: 'remove', path: '/a' }], { at: parseVersion('0') })).toThrow(
      expect.objectContaining({ code: 'revision-expired' }),
    )
    expect(Y.encodeStateAsUpdate(doc)).toEqual(before)
  })

  it('tells once per batch of transactions, outside of them', () => {
    const doc = new Y.Doc()
    const view = new JsonView(doc)
    const heard: string[] = []
    const stop = view.on('change', ({ version }) => {
      expect(view.diff(version)).toEqual([])
      heard.push(version.toString())
    })
    doc.transact(() => {
      doc.getMap('state').set('a', 1)
      doc.getMap('state').set('b', 1)
    })
    doc.transact(() => undefined)
    view.apply([{ op: 'add', path: '/c', value: 1 }])
    stop()
    doc.getMap('state').set('d', 1)
    expect(heard).toEqual(['1', '2'])
  })
})

describe('JsonMirror', () => {
  it('keeps the identity of everything that did not change', () => {
    const doc = new Y.Doc()
    const view = new JsonView(doc)
    view.assign({ list: Array.from({ length: 50 }, (_, i) => ({ id: i, tags: ['x'] })), other: { deep: {} } })
    const mirror = new JsonMirror(view)
    const before = mirror.value as { list: { tags: unknown }[]; other: unknown }
    const events: JsonValue[] = []
    mirror.on('change', ({ value }) => events.push(value))
    view.apply([{ op: 'replace', path: '/list/7/tags/0', value: 'y' }])
    const after = mirror.value as typeof before
    expect(events).toEqual([after])
    expect(after).not.toBe(before)
    expect(after.other).toBe(before.other)
    expect(after.list.filter((element, i) => element !== before.list[i])).toHaveLength(1)
    expect(before.list[7]?.tags).toEqual(['x'])
    expect(mirror.value).toBe(after)
    view.apply([])
    doc.getMap('state').set('__proto__', 1)
    expect(mirror.value).toBe(after)
    expect(events).toHaveLength(1)
  })

  it('that slept for longer than versions are retained reads anew', () => {
    const doc = new Y.Doc()
    const view = new JsonView(doc, { retain: { versions: 2 } })
    const mirror = new JsonMirror(view)
    for (let i = 0; i < 9; i++) doc.getMap('state').set('n', i)
    expect(mirror.value).toEqual({ n: 8 })
  })
})

function edit(doc: Y.Doc, { what, at, size }: Step): void {
  const state = doc.getMap<unknown>('state')
  const key = ['a', 'b', 'l', 'x/y', 'constructor'][at % 5] ?? 'a'
  const list = state.get('l')
  const pick = (type: { length: number }): number => at % (type.length + 1)
  switch (what) {
    case 0:
      state.set(key, at)
      break
    case 1:
      state.delete(key)
      break
    case 2:
      state.set('l', Y.Array.from([1, new Y.Map([['body', new Y.Text('t')]]), 'x']))
      break
    case 3:
      if (list instanceof Y.Array)
        list.insert(pick(list), [at, new Y.Map([['prototype', at]]), new Y.Array()].slice(0, size))
      break
    case 4:
      if (list instanceof Y.Array && list.length > 0) list.delete(at % list.length, Math.min(size, 1))
      break
    case 5: {
      const nested: unknown = list instanceof Y.Array ? list.get(pick(list)) : undefined
      if (nested instanceof Y.Map) nested.set(key, new Y.Map([['n', at]]))
      else if (nested instanceof Y.Array) nested.insert(0, [at])
      break
    }
    case 6: {
      const type = doc.getText(at % 2 === 0 ? 'text' : 'lines')
      type.insert(pick(type), ['a\nb', '\n', '🙂', 'word '][at % 4] ?? '')
      break
    }
    case 7: {
      const type = doc.getText(at % 2 === 0 ? 'text' : 'lines')
      if (type.length > 0) type.delete(at % type.length, Math.min(size, type.length - (at % type.length)))
      break
    }
    case 8: {
      const page = doc.getXmlFragment('page')
      const paragraph = new Y.XmlElement('paragraph')
      page.insert(pick(page), [paragraph])
      if (size > 1) paragraph.insert(0, [new Y.XmlText('words')])
      break
    }
    case 9: {
      const page = doc.getXmlFragment('page')
      const node: unknown = page.length > 0 ? page.get(at % page.length) : undefined
      if (!(node instanceof Y.XmlElement)) break
      const child: unknown = node.length > 0 ? node.get(0) : undefined
      if (size === 0) page.delete(at % page.length, 1)
      else if (size === 1) node.setAttribute('level', String(at))
      else if (child instanceof Y.XmlText) child.format(0, child.length, { bold: at % 2 === 0 ? {} : null })
      else node.insert(0, [size === 2 ? new Y.XmlText('t') : new Y.XmlElement('hr')])
      break
    }
    default:
      state.set('constructor', new Y.Map([['prototype', new Y.Map([['n', at]])]]))
  }
}

/** One to three operations that are valid for the value. */
function randomPatch(value: JsonValue, { at, what }: { at: number; what: number }): JsonPatch {
  const places = placesOf(value, [])
  const { path, inside } = places[at % places.length] ?? { path: [], inside: value }
  if (Array.isArray(inside)) {
    const index = at % (inside.length + 1)
    if (what < 3 || inside.length === 0)
      return [{ op: 'add', path: formatPointer([...path, index]), value: at }]
    const element = formatPointer([...path, at % inside.length])
    return what < 5 ? [{ op: 'remove', path: element }] : [{ op: 'replace', path: element, value: { at } }]
  }
  const key = ['a', 'l', 'new'][at % 3] ?? 'a'
  const member = formatPointer([...path, key])
  const exists = typeof inside === 'object' && inside !== null && Object.hasOwn(inside, key)
  if (what < 2)
    return [
      { op: 'add', path: member, value: [at] },
      { op: 'add', path: `${member}/0`, value: at },
    ]
  return exists && what < 5 ? [{ op: 'remove', path: member }] : [{ op: 'add', path: member, value: at }]
}

function placesOf(
  value: JsonValue,
  path: readonly (string | number)[],
): { path: readonly (string | number)[]; inside: JsonValue }[] {
  if (typeof value !== 'object' || value === null) return []
  const below = Array.isArray(value)
    ? value.flatMap((element: JsonValue, i) => placesOf(element, [...path, i]))
    : Object.entries(value as Record<string, JsonValue>).flatMap(([key, element]) =>
        placesOf(element, [...path, key]),
      )
  return [{ path, inside: value }, ...below]
}

it('patched shares what it does not touch', () => {
  const value = { a: [{ b: 1 }], c: {} }
  const next = patched(value, [{ op: 'add', path: '/a/1', value: 2 }]) as typeof value
  expect(jsonEquals(next, { a: [{ b: 1 }, 2], c: {} })).toBe(true)
  expect(next.c).toBe(value.c)
  expect(next.a[0]).toBe(value.a[0])
  expect(value.a).toHaveLength(1)
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonView, map, text, type JsonPatch } from '../src/index.ts'
import { canonical, clone, type Json, type Operation } from './oracle/json.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { applyStrict } from './oracle/strict-patch.ts'

const options = { mounts: { '': map('state'), '/text': text('text') }, texts: { '/text': 'lines' } } as const

describe('a text as an array of its lines', () => {
  it('follows every edit with a patch of the lines it touched', () => {
    let operations = 0
    let edits = 0
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 30 }), (seed, steps) => {
        const rng = new Rng(seed)
        const doc = new Y.Doc({ gc: false })
        const other = new Y.Doc()
        const content = doc.getText('text')
        content.insert(0, Array.from({ length: rng.int(30) }, (_, i) => `line ${i}`).join('\n'))
        const view = new JsonView(doc, options)
        const retained: { version: typeof view.version; state: Json }[] = []
        for (let i = 0; i < steps; i++) {
          const target = rng.chance(0.3) ? other.getText('text') : content
          edit(rng, target)
          if (rng.chance(0.5)) sync(doc, other)
          const state = view.read() as Json
          expect(state).toEqual({ text: content.toJSON().split('\n') })
          retained.push({ version: view.version, state: clone(state) })
          for (const then of retained) {
            const patch = view.diff(then.version) as unknown as Operation[]
            expect(canonical(applyStrict(then.state, patch))).toBe(canonical(state))
            expect(view.read({ at: then.version })).toEqual(then.state)
          }
          const [previous] = retained.slice(-2)
          operations += view.diff(previous!.version).length
          edits += 1
        }
        view.destroy()
      }),
      { seed: 51, numRuns: runs(120) },
    )
    expect(operations).toBeLessThan(edits * 6)
  })

  it('one keystroke in a long text is a patch of one line', () => {
    const doc = new Y.Doc({ gc: false })
    doc.getText('text').insert(0, Array.from({ length: 2_000 }, (_, i) => `this is line ${i}`).join('\n'))
    const view = new JsonView(doc, options)
    const version = view.version
    doc.getText('text').insert(20_000, 'x')
    const patch = view.diff(version)
    expect(patch).toHaveLength(1)
    expect(JSON.stringify(patch).length).toBeLessThan(100)
  })

  it('takes patches of lines', () => {
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 20 }), (seed, steps) => {
        const rng = new Rng(seed)
        const doc = new Y.Doc({ gc: false })
        doc.getText('text').insert(0, 'a\nb\n\nc')
        const view = new JsonView(doc, options)
        for (let i = 0; i < steps; i++) {
          const before = clone(view.read()) as { text: string[] }
          const patch: Operation[] = []
          let view_ = before as Json
          for (let k = 1 + rng.int(3); k > 0; k--) {
            const lines = (view_ as { text: string[] }).text
            const operation = lineOperation(rng, lines)
            patch.push(operation)
            view_ = applyStrict(view_, [operation])
          }
          const expected = applyStrict(before, patch) as { text: string[] }
          // A text has at least one line, so the last one cannot be removed; that is for the next test.
          if (expected.text.length === 0) continue
          view.apply(patch as unknown as JsonPatch)
          expect(view.read()).toEqual(expected)
          expect(doc.getText('text').toJSON()).toBe(expected.text.join('\n'))
        }
        view.destroy()
      }),
      { seed: 52, numRuns: runs(200) },
    )
  })

  it('a stale patch of a line keeps what others typed in it, and finds it again', () => {
    const doc = new Y.Doc({ gc: false })
    doc.getText('text').insert(0, 'one\ntwo\nthree')
    const view = new JsonView(doc, options)
    const at = view.version
    doc.getText('text').insert(0, 'zero\n')
    doc.getText('text').insert(8, ' HUMAN')
    const before = doc.getText('text').toJSON()
    expect(before).toBe('zero\none HUMAN\ntwo\nthree')
    view.apply(
      [
        { op: 'replace', path: '/text/0', value: 'one!' },
        { op: 'add', path: '/text/2', value: 'between' },
      ],
      { at },
    )
    const lines = doc.getText('text').toJSON().split('\n')
    expect(lines[0]).toBe('zero')
    expect(lines[1]).toContain('HUMAN')
    expect(lines[1]).toContain('!')
    expect(lines.slice(2)).toEqual(['two', 'between', 'three'])
  })

  it('a line is a string without line feeds', () => {
    const doc = new Y.Doc({ gc: false })
    doc.getText('text').insert(0, 'a\nb')
    const view = new JsonView(doc, options)
    for (const value of [1, null, ['x'], { a: 1 }])
      expect(() => view.apply([{ op: 'add', path: '/text/0', value }])).toThrow(
        expect.objectContaining({ name: 'PolyphonyError' }),
      )
    expect(doc.getText('text').toJSON()).toBe('a\nb')
  })
})

function lineOperation(rng: Rng, lines: readonly string[]): Operation {
  const value = rng.pick(['', 'x', 'some words', '🙂', 'b'])
  if (lines.length > 1 && rng.chance(0.3)) return { op: 'remove', path: `/text/${rng.int(lines.length)}` }
  if (rng.chance(0.5)) return { op: 'add', path: `/text/${rng.int(lines.length + 1)}`, value }
  return { op: 'replace', path: `/text/${rng.int(lines.length)}`, value }
}

function edit(rng: Rng, content: Y.Text): void {
  if (rng.chance(0.4) && content.length > 0) {
    const at = rng.int(content.length)
    content.delete(at, Math.min(content.length - at, 1 + rng.int(12)))
  } else content.insert(rng.int(content.length + 1), rng.pick(['x', '\n', 'word', 'a\nb', '\n\n', 'line\n']))
}

function sync(a: Y.Doc, b: Y.Doc): void {
  Y.applyUpdate(a, Y.encodeStateAsUpdate(b, Y.encodeStateVector(a)))
  Y.applyUpdate(b, Y.encodeStateAsUpdate(a, Y.encodeStateVector(b)))
}

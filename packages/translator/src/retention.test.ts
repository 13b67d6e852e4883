import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import type { JsonValue } from './json-value.ts'
import { JsonView } from './view.ts'

describe('retention', () => {
  it('every retained version reads exactly, and nothing of what left the window stays', () => {
    const step = fc.record({ what: fc.nat(8), at: fc.nat(), key: fc.constantFrom('a', 'b', 'c') })
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
        const doc = new Y.Doc({ gc: false })
        doc.clientID = 1
        const other = new Y.Doc()
        other.clientID = 2
        const state = doc.getMap<unknown>('state')
        const view = new JsonView(doc, { retain: { versions: 6 } })
        const seen: { version: (typeof view)['version']; json: JsonValue }[] = []
        for (const { what, at, key } of steps) {
          const list = state.get('l')
          if (!(list instanceof Y.Array)) state.set('l', Y.Array.from(['x', 'y']))
          else if (what < 3) list.insert(at % (list.length + 1), [`i${at}`, new Y.Map([['deep', at]])])
          else if (what < 5 && list.length > 0) list.delete(at % list.length, 1)
          else if (what < 6) state.set(key, new Y.Map([['n', at]]))
          else if (what < 7) state.delete(key)
          else {
            other.getMap('state').set(key, `other ${at}`)
            Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
            if (at % 2 === 0) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
          }
          seen.push({ version: view.version, json: structuredClone(view.read()) })
          if (at % 5 === 0) view.collect()
          for (const { version, json } of seen) {
            if (version.revision < view.oldest)
              expect(() => view.read({ at: version })).toThrow(
                expect.objectContaining({ code: 'revision-expired' }),
              )
            else expect(view.read({ at: version })).toEqual(json)
          }
        }
        // Once everything left the window, the document is as small as if Yjs had collected at once.
        for (let i = 0; i < 7; i++) state.set('last', i)
        for (let i = 0; i < 7; i++) state.set('last', 7)
        view.collect()
        const collected = new Y.Doc()
        Y.applyUpdate(collected, Y.encodeStateAsUpdate(doc))
        const kept = contents(doc) - contents(collected)
        expect(kept).toBeLessThanOrEqual(7)
      }),
      { seed: 1, numRuns: 60 },
    )
  })

  it('is bounded by time and bytes, too', () => {
    let now = 1_000
    const clock = { now: () => now, after: () => () => undefined }
    const doc = new Y.Doc()
    const timed = new JsonView(doc, { retain: { ms: 100 }, clock })
    const sized = new JsonView(doc, { retain: { bytes: 400 } })
    for (let i = 0; i < 20; i++) {
      now += 30
      doc.getMap('state').set('k', i)
    }
    expect(timed.version.revision - timed.oldest).toBe(4)
    expect(sized.version.revision - sized.oldest).toBeGreaterThan(1)
    expect(sized.version.revision - sized.oldest).toBeLessThan(8)
  })

  it('leaves a document alone unless told to retain', () => {
    const doc = new Y.Doc({ gc: false })
    const view = new JsonView(doc)
    doc.getMap('state').set('k', 'content')
    const snapshot = Y.snapshot(doc)
    for (let i = 0; i < 1_100; i++) doc.getMap('state').set('k', i)
    view.collect()
    expect(Y.createDocFromSnapshot(doc, snapshot).getMap('state').toJSON()).toEqual({ k: 'content' })
    expect(view.oldest).toBe(101)
  })

  it('waits for an undo manager to let go', () => {
    const doc = new Y.Doc({ gc: false })
    const state = doc.getMap('state')
    const undo = new Y.UndoManager(state, { captureTimeout: 0 })
    const view = new JsonView(doc, { retain: { versions: 1 } })
    state.set('text', 'x'.repeat(1_000))
    state.delete('text')
    const churn = (): void => {
      for (let i = 0; i < 10; i++) view.apply([{ op: 'add', path: '/n', value: i }], { origin: 'agent' })
    }
    churn()
    view.collect()
    expect(Y.encodeStateAsUpdate(doc).length).toBeGreaterThan(1_000)
    undo.clear()
    churn()
    view.collect()
    expect(Y.encodeStateAsUpdate(doc).length).toBeLessThan(500)
  })
})

/** Deleted items that still have their content. */
function contents(doc: Y.Doc): number {
  let count = 0
  for (const structs of doc.store.clients.values())
    for (const struct of structs)
      if (struct instanceof Y.Item && struct.deleted && !(struct.content instanceof Y.ContentDeleted)) count++
  return count
}

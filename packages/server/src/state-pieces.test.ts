import { resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { Frontier } from './frontier.ts'
import { statePieces } from './state-pieces.ts'
import { readUpdate } from './update-reader.ts'

const limits = resolveLimits()

/** Three replicas write maps in maps, lists and texts, and hear of each other now and then. */
function documentOf(choices: readonly number[], gc: boolean): Y.Doc {
  const docs = [1, 2, 3].map((clientID) => {
    const doc = new Y.Doc({ gc })
    doc.clientID = clientID
    return doc
  })
  choices.forEach((choice, index) => {
    const doc = docs[choice % 3]!
    const map = doc.getMap<Y.Map<unknown>>('state')
    const list = doc.getArray<number>('list')
    const text = doc.getText('text')
    switch (choice % 8) {
      case 0:
        for (const other of docs) Y.applyUpdate(doc, Y.encodeStateAsUpdate(other))
        break
      case 1:
        map.set(`k${choice % 4}`, new Y.Map([['at', index]]))
        break
      case 2:
        map.get(`k${choice % 4}`)?.set(`m${index % 2}`, new Y.Map([['deep', choice]]))
        break
      case 3:
        list.insert(
          choice % (list.length + 1),
          Array.from({ length: choice % 40 }, (_, at) => at),
        )
        break
      case 4:
        if (list.length > 3) list.delete(choice % (list.length - 2), 2)
        break
      case 5:
        text.insert(choice % (text.length + 1), '🎈 and more'.repeat(choice % 5))
        break
      case 6:
        if (text.length > 8) text.delete(choice % (text.length - 7), 7)
        break
      default:
        map.delete(`k${choice % 4}`)
    }
  })
  for (const other of docs) Y.applyUpdate(docs[0]!, Y.encodeStateAsUpdate(other))
  return docs[0]!
}

const histories = fc.tuple(fc.array(fc.nat(5_000), { minLength: 1, maxLength: 80 }), fc.boolean())
const bounds = fc.record({
  structsMax: fc.integer({ min: 1, max: 20 }),
  bytesMax: fc.integer({ min: 1, max: 400 }),
  unitsMax: fc.integer({ min: 2, max: 10 }),
})

describe('statePieces', () => {
  test('every piece integrates after those before it, and all together are the document', () => {
    fc.assert(
      fc.property(histories, bounds, ([choices, gc], limited) => {
        const truth = documentOf(choices, gc)
        const doc = new Y.Doc({ gc })
        const frontier = new Frontier(limits)
        for (const { update, clocks } of statePieces(truth, limited)) {
          Y.applyUpdate(doc, update)
          expect(doc.store.pendingStructs).toBeNull()
          expect(doc.store.pendingDs).toBeNull()
          const { fresh, blocked } = frontier.admit(readUpdate(update, limits, false))
          expect(blocked).toBeUndefined()
          expect(fresh?.increment.clocks ?? new Map()).toEqual(clocks)
        }
        expect(Y.encodeStateAsUpdate(doc)).toEqual(Y.encodeStateAsUpdate(truth))
        expect(Y.equalSnapshots(Y.snapshot(doc), Y.snapshot(truth))).toBe(true)
        expect(doc.getText('text').toJSON()).toBe(truth.getText('text').toJSON())
      }),
      { seed: 20261125, numRuns: 300 },
    )
  })

  test('no piece is much larger than its bounds', () => {
    const doc = new Y.Doc()
    doc.getArray('list').push(Array.from({ length: 10_000 }, (_, index) => index))
    doc.getText('text').insert(0, 'x'.repeat(10_000))
    const pieces = [...statePieces(doc, { structsMax: 100, bytesMax: 1_000, unitsMax: 500 })]
    expect(pieces.length).toBeGreaterThan(20)
    for (const { update } of pieces) expect(update.length).toBeLessThan(1_000 + 4 * 500)
  })

  test('an empty document has none', () => {
    expect([...statePieces(new Y.Doc())]).toEqual([])
  })
})

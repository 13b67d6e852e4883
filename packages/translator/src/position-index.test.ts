import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { PositionIndex } from './position-index.ts'
import { countsInArray } from './yjs.ts'

describe('PositionIndex', () => {
  it.each([true, false])('answers as walking does, after any edits and merges (gc: %s)', (gc) => {
    const step = fc.record({
      what: fc.nat(9),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      size: fc.nat(40),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, scalars) => {
        const doc = new Y.Doc({ gc })
        const other = new Y.Doc({ gc })
        doc.clientID = 1
        other.clientID = 2
        const list = doc.getArray<unknown>('l')
        const make = (size: number): unknown[] =>
          Array.from({ length: size }, (_, i) => (scalars ? i : new Y.Map([['i', i]])))
        doc.transact(() => {
          for (let i = 0; i < 60; i++) list.insert(0, make(12))
        })
        const index = new PositionIndex(list, countsInArray)
        doc.on('afterTransaction', (transaction) => {
          expect(index.follow(transaction)).toBe(true)
        })
        for (const { what, at, size } of steps) {
          const place = Math.floor(at * list.length)
          if (what < 4) list.insert(place, make(size))
          else if (what < 7) list.delete(place, Math.min(size, list.length - place))
          else if (what < 8) {
            // One by one, so that tombstones merge into what stands before them, anchors included.
            for (let i = 0; i < size && list.length > 1; i++) list.delete(Math.min(place, list.length - 1), 1)
          } else {
            Y.applyUpdate(other, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(other)))
            other.getArray('l').insert(Math.floor(at * other.getArray('l').length), make(3))
            Y.applyUpdate(doc, Y.encodeStateAsUpdate(other, Y.encodeStateVector(doc)))
          }
          let count = 0
          for (let item = list._start; item !== null; item = item.right) {
            if (count % 7 === 0) expect(index.indexOf(item)).toBe(count)
            if (!item.deleted) count += item.length
          }
          expect(index.length).toBe(count)
          for (const probe of [0, count >> 2, count >> 1, count - 1]) {
            if (probe < 0 || count === 0) continue
            const { item, offset } = index.locate(probe)
            expect(item.deleted).toBe(false)
            expect(index.indexOf(item) + offset).toBe(probe)
          }
        }
      }),
      { seed: gc ? 1 : 2, numRuns: 40 },
    )
  })

  it('gives up on a transaction that changes more than it is worth following', () => {
    const doc = new Y.Doc()
    const list = doc.getArray<unknown>('l')
    list.insert(0, [1])
    const index = new PositionIndex(list, countsInArray)
    let followed = true
    doc.on('afterTransaction', (transaction) => (followed = index.follow(transaction)))
    list.insert(
      0,
      Array.from({ length: 2_001 }, () => new Y.Map()),
    )
    expect(followed).toBe(false)
  })
})

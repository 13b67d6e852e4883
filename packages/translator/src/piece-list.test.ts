import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PieceList } from './piece-list.ts'

interface Mark {
  readonly name: number
}

describe('PieceList', () => {
  it('is a list under edit that keeps what was removed', () => {
    const step = fc.record({
      what: fc.constantFrom('insert', 'insert', 'remove', 'replace', 'append'),
      at: fc.nat(),
    })
    fc.assert(
      fc.property(fc.nat(30), fc.array(step, { maxLength: 1_200 }), (length, steps) => {
        const list = new PieceList<Mark>(length)
        const model: (number | Mark)[] = Array.from({ length }, (_, i) => i)
        for (const [name, { what, at }] of steps.entries()) {
          if (what === 'insert') {
            const index = at % (model.length + 1)
            list.insert(index, { name })
            model.splice(index, 0, { name })
          } else if (what === 'append') {
            list.append({ name })
            model.push({ name })
          } else if (model.length > 0) {
            const index = at % model.length
            if (what === 'remove') {
              list.remove(index)
              model.splice(index, 1)
            } else {
              list.replace(index, { name })
              model[index] = { name }
            }
          }
        }
        expect(list.length).toBe(model.length)
        expect(model.map((_, i) => list.at(i))).toEqual(
          model.map((each) => (typeof each === 'number' ? { base: each } : { node: each })),
        )
        // The base is there in its order, whatever was removed of it.
        let next = 0
        for (const piece of list.pieces()) {
          if (piece.node !== undefined) continue
          expect(piece.from).toBe(next)
          next += piece.length
        }
        expect(next).toBe(length)
      }),
      { seed: 1, numRuns: 60 },
    )
  })

  it('inserts right behind the element before, and so in front of what was removed', () => {
    const list = new PieceList<Mark>(3)
    list.remove(1)
    list.insert(1, { name: 1 })
    expect([...list.pieces()].map((piece) => piece.node?.name ?? piece)).toMatchObject([
      { from: 0, length: 1, removed: false },
      1,
      { from: 1, length: 1, removed: true },
      { from: 2, length: 1, removed: false },
    ])
  })
})

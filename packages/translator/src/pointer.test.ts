import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatPointer, parseIndex, parsePointer } from './pointer.ts'

describe('pointers', () => {
  it('go there and back', () => {
    const token = fc.string({ unit: fc.constantFrom('a', '~', '/', '0', '1', '-', ' ', '"') })
    fc.assert(
      fc.property(fc.array(token), (tokens) => {
        expect(parsePointer(formatPointer(tokens))).toEqual(tokens)
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  it.each(['a', '/~', '/~2', '/a~/b'])('"%s" is refused', (pointer) => {
    expect(() => parsePointer(pointer)).toThrow(expect.objectContaining({ code: 'invalid-patch' }))
  })

  it('indexes have no leading zeros, signs or exponents', () => {
    expect(['0', '7', '10', '00', '01', '-1', '1e0', '1.0', '-', '', ' 1'].map(parseIndex)).toEqual([
      0,
      7,
      10,
      ...Array.from({ length: 8 }, () => undefined),
    ])
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SortedKeys } from './sorted-keys.ts'

function all(keys: Iterable<string>): string[] {
  const sorted = new SortedKeys(keys)
  const found: string[] = []
  for (let key = sorted.next(); key !== undefined; key = sorted.next()) if (key !== false) found.push(key)
  return found
}

test('keys come in order, however many there are', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 200 }), fc.nat(20_000), (some, many) => {
      const keys = new Set([
        ...some,
        ...Array.from({ length: many }, (_, index) => `${(index * 7_919) % 20_011}`),
      ])
      expect(all(keys)).toEqual([...keys].toSorted())
    }),
    { seed: 20261125, numRuns: 30 },
  )
  expect(all(Array.from({ length: 1_024 }, (_, index) => `${index}`))).toHaveLength(1_024)
})

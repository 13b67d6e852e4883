import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchKeys, matchLists } from './list-match.ts'

describe('matching lists', () => {
  it('finds a longest common subsequence', () => {
    const list = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 14 })
    fc.assert(
      fc.property(list, list, (a, b) => {
        const matches = matchKeys(a, b)
        expect(matches.length).toBe(longest(a, b))
        let [i, j] = [-1, -1]
        for (const [x, y] of matches) {
          expect(a[x]).toBe(b[y])
          expect(x > i && y > j).toBe(true)
          ;[i, j] = [x, y]
        }
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  it('recognises objects by id and everything else by value', () => {
    const old = [{ id: 1, t: 'a' }, { id: '1', t: 'b' }, { t: 'c', u: 1 }, 7]
    const next = [{ id: '1', t: 'changed' }, { u: 1, t: 'c' }, { id: 2 }]
    expect(matchLists(old, next)).toEqual([
      [1, 0],
      [2, 1],
    ])
    expect(matchLists(old, [{ u: 1, t: 'c' }, 7])).toEqual([
      [2, 0],
      [3, 1],
    ])
  })

  it('stays fast and in order when the lists are long and differ everywhere', () => {
    const a = Array.from({ length: 6_000 }, (_, i) => i)
    const b = a.map((i) => (i * 7_919) % 6_000)
    const matches = matchKeys(a, b)
    expect(matches.length).toBeGreaterThan(40)
    for (const [i, j] of matches) expect(a[i]).toBe(b[j])
    expect(
      matches.every(
        ([i, j], k) => k === 0 || (i > (matches[k - 1]?.[0] ?? 0) && j > (matches[k - 1]?.[1] ?? 0)),
      ),
    ).toBe(true)
  })
})

function longest(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) return 0
  const table = Array.from({ length: a.length + 1 }, () => Array.from({ length: b.length + 1 }, () => 0))
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i]![j] =
        a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!)
  return table[a.length]![b.length]!
}

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IdSet } from './id-set.ts'

test('an IdSet answers like a plain set of numbers', () => {
  const range = fc.record({ client: fc.integer({ min: 1, max: 3 }), clock: fc.nat(60), length: fc.nat(12) })
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), range, (added, asked) => {
      const set = new IdSet()
      const oracle = new Set<string>()
      for (const { client, clock, length } of added) {
        set.add(client, clock, length)
        for (let i = 0; i < length; i++) oracle.add(`${client}:${clock + i}`)
      }
      const wanted = Array.from({ length: asked.length }, (_, i) => asked.clock + i)
      const missing = wanted.filter((clock) => !oracle.has(`${asked.client}:${clock}`))
      expect(wanted.filter((clock) => !set.has(asked.client, clock))).toEqual(missing)
      if (asked.length > 0)
        expect(set.covers(asked.client, asked.clock, asked.length)).toBe(missing.length === 0)
      const gaps = set.missing(asked.client, asked.clock, asked.length)
      expect(gaps.flatMap(({ clock, length }) => Array.from({ length }, (_, i) => clock + i))).toEqual(
        missing,
      )
      const listed = [...set.entries()].flatMap(({ client, clock, length }) =>
        Array.from({ length }, (_, i) => `${client}:${clock + i}`),
      )
      expect(new Set(listed)).toEqual(oracle)
      expect(listed.length).toBe(oracle.size)
      for (const client of set.clients()) {
        const ranges = [...set.ranges(client)]
        ranges
          .slice(1)
          .forEach((next, i) => expect(next.clock).toBeGreaterThan(ranges[i]!.clock + ranges[i]!.length))
      }
    }),
    { seed: 20261124, numRuns: 2000 },
  )
})

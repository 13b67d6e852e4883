import fc from 'fast-check'
import { expect, it } from 'vitest'
import { retentionCut } from './retention.ts'

it('cuts where a walk from the newest covered entry backwards would, in few lookups', async () => {
  const entry = fc.record({ bytes: fc.nat(50), laterByMs: fc.nat(20) })
  const policy = fc.record({ entries: fc.nat(12), bytes: fc.nat(400), ageMs: fc.nat(200) })
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { minLength: 1, maxLength: 40 }),
      policy,
      fc.nat(50),
      async (added, bounds, first) => {
        let offset = 1000
        let committedAtMs = 0
        const log = added.map(({ bytes, laterByMs }) => {
          const stored = { offset, committedAtMs: (committedAtMs += laterByMs) }
          offset += bytes
          return stored
        })
        const nowMs = committedAtMs + 10
        const last = first + log.length - 1
        let cut = last
        while (
          cut >= first &&
          last - cut < bounds.entries &&
          offset - (log[cut - first]?.offset ?? 0) <= bounds.bytes &&
          nowMs - (log[cut - first]?.committedAtMs ?? 0) <= bounds.ageMs
        )
          cut--
        let lookups = 0
        const found = await retentionCut(
          bounds,
          { first, last, endOffset: offset },
          nowMs,
          async (revision) => {
            lookups++
            return log[revision - first] ?? expect.unreachable(`looked up ${revision}`)
          },
        )
        expect(found).toBe(cut)
        expect(lookups).toBeLessThanOrEqual(7)
      },
    ),
    { seed: 4 },
  )
})

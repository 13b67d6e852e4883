import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type * as Y from 'yjs'
import { World, type Action } from './support/world.ts'

const soak = process.env['POLYPHONY_SOAK'] === '1'
const number = fc.nat(1000)
const waiting = { timeout: 10_000, interval: 5 }

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('open' as const), browser: number, connect: fc.boolean() }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ type: fc.constant('edit' as const), tab: number, kind: number, at: number }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('close' as const), tab: number }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('kill' as const), tab: number }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('disconnect' as const), tab: number }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('connect' as const), tab: number }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('server' as const), up: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('store' as const),
      browser: number,
      fault: fc.constantFrom('none' as const, 'fail' as const, 'tear' as const),
    }),
  },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('wait' as const), ticks: fc.nat(12) }) },
)

describe('tabs, browsers, stores and a server that come and go', () => {
  it(
    'converge, lose nothing that was promised, and never claim what is not so',
    async () => {
      const totals = { edits: 0, saved: 0, savedLocally: 0, kills: 0, promised: 0 }
      await fc.assert(
        fc.asyncProperty(fc.array(action, { minLength: 20, maxLength: 80 }), async (actions) => {
          const world = await new World().start()
          try {
            await world.act({ type: 'open', browser: 0, connect: true })
            await world.act({ type: 'open', browser: 1, connect: true })
            for (const step of actions) await world.act(step)
            const committed = await world.heal()
            const edits = committed.getMap('edits')
            for (const edit of world.promised) expect(edits.has(edit), edit).toBe(true)
            for (const { document } of world.tabs) {
              await vi.waitFor(() => expect(contentOf(document.doc)).toEqual(contentOf(committed)), waiting)
              // An edit that comes again from another tab is pending until the server has repeated it.
              await vi.waitFor(
                () => expect(document.status).toMatchObject({ saved: true, savedLocally: true, pending: 0 }),
                waiting,
              )
            }
            expect(world.lies).toEqual([])
            totals.edits += world.counts.edits
            totals.saved += world.counts.saved
            totals.savedLocally += world.counts.savedLocally
            totals.kills += world.counts.kills
            totals.promised += world.promised.size
          } finally {
            await world.end()
          }
        }),
        { seed: 512, numRuns: soak ? 500 : 40, endOnFailure: true },
      )
      // A run in which nothing happened would prove nothing.
      for (const total of Object.values(totals)) expect(total).toBeGreaterThan(40)
    },
    soak ? 3_600_000 : 120_000,
  )
})

function contentOf(doc: Y.Doc): unknown {
  return [doc.getMap('edits').toJSON(), doc.getText('text').toJSON(), doc.getMap('state').toJSON()]
}

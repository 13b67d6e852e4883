import { resolveLimits, silentLogger, silentTelemetry } from '@polyphony/core'
import { isCheckpoint, MemoryStore } from '@polyphony/storage'
import { expect, test, vi } from 'vitest'
import { SeededRandom } from '../test/simulation/seeded-random.ts'
import { VirtualClock } from '../test/simulation/virtual-clock.ts'
import { defaultCheckpointPolicy, type CheckpointPolicy } from './checkpointer.ts'
import { Rooms } from './rooms.ts'
import { compact } from './compaction.ts'

const never: CheckpointPolicy = { entries: 1e9, bytes: 1e9, ageMs: 1e9 }

/** Edits one after another, 10 s apart, until there is a checkpoint; its revision. */
async function firstCheckpoint(checkpoints: CheckpointPolicy, editBytes: number): Promise<number> {
  const clock = new VirtualClock()
  const store = new MemoryStore({ clock, random: new SeededRandom(1) })
  const rooms = new Rooms({
    store,
    checkpoints,
    compactor: { compact: async (updates) => compact(updates), close: async () => undefined },
    clock,
    random: new SeededRandom(2),
    limits: resolveLimits(),
    logger: silentLogger,
    telemetry: silentTelemetry,
    projection: () => ({}),
  })
  const revision = async (): Promise<number> => {
    for await (const item of store.read('doc')) return isCheckpoint(item) ? item.revision : 0
    return 0
  }
  try {
    const document = await rooms.open('doc')
    for (let n = 1; n <= 40; n++) {
      await document.edit({ author: 'a' }, (view) =>
        view.apply([{ op: 'add', path: `/k${n}`, value: 'x'.repeat(editBytes) }]),
      )
      const isDue =
        n >= checkpoints.entries ||
        n * editBytes >= checkpoints.bytes ||
        (n - 1) * 10_000 >= checkpoints.ageMs
      if (isDue) {
        const look = async (): Promise<void> => {
          clock.runNext(1)
          expect(await revision()).toBeGreaterThan(0)
        }
        await vi.waitFor(look, { timeout: 20_000, interval: 5 })
        return await revision()
      }
      expect(await revision()).toBe(0)
      for (const until = clock.now() + 10_000; clock.now() < until;) clock.runNext(until - clock.now())
    }
    return 0
  } finally {
    await rooms.close(1_000)
  }
}

test.each([
  ['entries', { ...never, entries: 7 }, 100, 7],
  ['bytes', { ...never, bytes: 10_000 }, 1_000, 10],
  ['age', { ...never, ageMs: 50_000 }, 100, 6],
  ['none of them', never, 100, 0],
])('a log becomes a checkpoint by %s', async (_, policy, editBytes, revision) => {
  expect(await firstCheckpoint(policy, editBytes)).toBe(revision)
})

test('the defaults are what the documentation says', () => {
  expect(defaultCheckpointPolicy).toEqual({ entries: 500, bytes: 8 << 20, ageMs: 3_600_000 })
})

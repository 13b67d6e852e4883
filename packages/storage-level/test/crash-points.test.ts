import { openLevelStore } from '@polyphony/storage-level'
import { appendTo, eventually, sampleEntry, WriteScenario } from '@polyphony/storage/testing'
import { Level } from 'level'
import { describe, expect, it } from 'vitest'
import { findLeftovers } from './support/leftovers.ts'
import { withTemporaryDirectory } from './support/temporary-directory.ts'

/** What happens at the chosen write: it fails and nothing is written, or it fails although everything is. */
type Fault = 'refuse' | 'tear'

interface FaultPlan {
  readonly failAt: number
  readonly fault: Fault
  /** Whether everything after it fails, too, as when the process has died. */
  readonly dead: boolean
}

/** A database whose writes are counted, one of which goes wrong. */
function openFaulty(directory: string, { failAt, fault, dead }: FaultPlan) {
  const level = new Level<unknown, unknown>(directory)
  const counter = { writes: 0 }
  const write = level.batch.bind(level) as (...args: unknown[]) => Promise<void>
  const faulty = async (...args: unknown[]): Promise<void> => {
    counter.writes++
    if (counter.writes !== failAt && !(dead && counter.writes > failAt)) return await write(...args)
    if (fault === 'tear' && counter.writes === failAt) await write(...args)
    throw new Error('IO error: made for the test')
  }
  Object.defineProperty(level, 'batch', { value: faulty })
  return { level, counter }
}

// What fails here fails in the same way with `fsync`, only slower.
const options = { fsync: false, retention: { entries: 2, bytes: 1e9, ageMs: 1e12 } }

async function countWrites(): Promise<number> {
  return await withTemporaryDirectory(async (directory) => {
    const { level, counter } = openFaulty(directory, { failAt: Infinity, fault: 'refuse', dead: false })
    const store = await openLevelStore(level, options)
    await new WriteScenario().run(store, { retries: false })
    await store.close()
    return counter.writes
  })
}

async function expectCleared(directory: string): Promise<void> {
  const level = new Level<unknown, unknown>(directory)
  const store = await openLevelStore(level, options)
  await eventually(
    async () => (await findLeftovers(level)).length === 0,
    'what no document refers to is removed',
  )
  await store.close()
}

describe('whichever write goes wrong', async () => {
  const writes = await countWrites()
  // The first one, which begins the session, is part of opening. The short tier takes every fourth.
  const stride = process.env['POLYPHONY_SOAK'] === '1' ? 1 : 4
  const chosenWrites = Array.from(
    { length: Math.floor((writes - 1) / stride) },
    (_, index) => 2 + index * stride,
  )

  for (const fault of ['refuse', 'tear'] as const) {
    it(
      `the store recovers by itself and loses nothing (${fault}, ${stride === 1 ? 'each' : `every ${stride}th`} of ${writes} writes)`,
      { timeout: 300_000 },
      async () => {
        for (const failAt of chosenWrites) {
          await withTemporaryDirectory(async (directory) => {
            const store = await openLevelStore(
              openFaulty(directory, { failAt, fault, dead: false }).level,
              options,
            )
            const scenario = new WriteScenario()
            await scenario.run(store, { retries: true })
            await scenario.verify(store)
            await store
              .close()
              .catch((error: unknown) => expect(error).toMatchObject({ code: 'store-failed' }))
            const again = await openLevelStore(directory, options)
            await scenario.verify(again)
            await again.close()
            await expectCleared(directory)
          })
        }
      },
    )

    it(
      `a process that dies there loses nothing, and leaves nothing behind (${fault}, ${stride === 1 ? 'each' : `every ${stride}th`} of ${writes} writes)`,
      { timeout: 300_000 },
      async () => {
        for (const failAt of chosenWrites) {
          await withTemporaryDirectory(async (directory) => {
            const { level } = openFaulty(directory, { failAt, fault, dead: true })
            const store = await openLevelStore(level, options)
            const scenario = new WriteScenario()
            await scenario.run(store, { retries: false })
            await store
              .close()
              .catch((error: unknown) => expect(error).toMatchObject({ code: 'store-failed' }))
            const again = await openLevelStore(directory, options)
            await scenario.verify(again)
            await appendTo(again, 'a', [sampleEntry('more')])
            await again.close()
            await expectCleared(directory)
          })
        }
      },
    )
  }
})

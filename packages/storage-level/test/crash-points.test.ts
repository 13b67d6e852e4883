import { PolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import {
  appendTo,
  eventually,
  expectEqual,
  readAll,
  sampleBytes,
  sampleCheckpoint,
  sampleEntry,
  type ReadResult,
} from '@polyphony/storage/testing'
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

/** Everything that writes: small and large entries, checkpoints and what they trim, deletion, creation. */
class Scenario {
  /** By document, what was acknowledged at each revision. */
  readonly acknowledged = new Map<string, Map<number, number>>()
  readonly checkpoints = new Map<string, number>()
  #number = 0

  /** With `retries`, each step is tried again until it succeeds, as a server does. */
  async run(store: DocumentStore, { retries }: { readonly retries: boolean }): Promise<void> {
    const step = async (work: () => Promise<void>) => {
      for (let attempt = 1; ; attempt++) {
        try {
          await work()
          return
        } catch (error) {
          if (!(error instanceof PolyphonyError)) throw error
          // A creation that failed may have happened.
          if (!retries || (error.code === 'document-exists' && attempt > 1)) return
          if (error.code !== 'store-failed') throw error
        }
      }
    }
    for (let round = 1; round <= 3; round++) {
      await step(() => this.#append(store, 'a', [50, 60, 70]))
      await step(() => this.#append(store, 'b', [270_000]))
      await step(() => this.#append(store, 'b', [10, 265_000, 20]))
      await step(() => this.#checkpoint(store, 'b'))
      await step(() => this.#checkpoint(store, 'a'))
    }
    // Nothing is promised of a document while its deletion is under way.
    this.acknowledged.delete('b')
    this.checkpoints.delete('b')
    await step(() => store.delete('b'))
    await step(async () => void (await store.create('b')))
    await step(() => this.#append(store, 'b', [530_000, 5]))
  }

  async #append(store: DocumentStore, documentId: string, sizes: readonly number[]): Promise<void> {
    const numbers = sizes.map(() => ++this.#number)
    const entries = sizes.map((size, index) =>
      sampleEntry(sampleBytes(size, numbers[index]), { author: `${numbers[index]} ${size}` }),
    )
    const { first } = await appendTo(store, documentId, entries)
    const updates = this.acknowledged.get(documentId) ?? new Map<number, number>()
    this.acknowledged.set(documentId, updates)
    for (const [index, number] of numbers.entries()) updates.set(first + index, number)
  }

  async #checkpoint(store: DocumentStore, documentId: string): Promise<void> {
    const revision = (await store.head(documentId))?.revision ?? 0
    if (revision === 0) return
    await store.checkpoint(documentId, sampleCheckpoint(revision, sampleBytes(270_000, revision)))
    this.checkpoints.set(documentId, revision)
  }

  async verify(store: DocumentStore): Promise<void> {
    for (const [documentId, updates] of this.acknowledged) {
      const { checkpoint, entries } = await readPatiently(store, documentId)
      expect(checkpoint?.revision ?? 0).toBeGreaterThanOrEqual(this.checkpoints.get(documentId) ?? 0)
      if (checkpoint !== undefined)
        expectEqual(checkpoint.state, sampleBytes(270_000, checkpoint.revision), 'state')
      const numbers = new Map(
        entries.map(({ revision, meta }) => [revision, Number(meta.author.split(' ')[0])]),
      )
      for (const [revision, number] of updates)
        if (revision > (checkpoint?.revision ?? 0))
          expect(numbers.get(revision), `${documentId} at ${revision}`).toBe(number)
      for (const { update, meta } of entries) {
        const [number = 0, size = 0] = meta.author.split(' ').map(Number)
        expectEqual(update, sampleBytes(size, number), `entry ${number}`)
      }
    }
  }
}

/** The database may be opened again under a reader's hands, when a removal in the background was what failed. */
async function readPatiently(store: DocumentStore, documentId: string): Promise<ReadResult> {
  try {
    return await readAll(store, documentId)
  } catch (error) {
    expect(error).toMatchObject({ code: 'store-failed' })
    return await readAll(store, documentId)
  }
}

async function countWrites(): Promise<number> {
  return await withTemporaryDirectory(async (directory) => {
    const { level, counter } = openFaulty(directory, { failAt: Infinity, fault: 'refuse', dead: false })
    const store = await openLevelStore(level, options)
    await new Scenario().run(store, { retries: false })
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
            const scenario = new Scenario()
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
            const scenario = new Scenario()
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

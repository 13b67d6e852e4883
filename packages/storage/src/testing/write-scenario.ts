import { isPolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '../index.ts'
import { expectEqual, expectTrue } from './expectations.ts'
import { appendTo, readAll, sampleBytes, sampleCheckpoint, sampleEntry, type ReadResult } from './samples.ts'

/**
 * Everything that writes to a store, in one fixed order: small and large entries, checkpoints and what they trim, deletion,
 * creation. For tests that let one thing go wrong at each possible place of it; what was acknowledged must be there
 * afterwards. Open the store with a retention of two entries, so that trimming takes part.
 */
export class WriteScenario {
  /** By document, the number of the update that was acknowledged at each revision. */
  readonly #acknowledged = new Map<string, Map<number, number>>()
  readonly #checkpoints = new Map<string, number>()
  readonly #rounds: number
  #number = 0

  /** @param rounds of appends and checkpoints before the deletion. */
  constructor(rounds = 3) {
    this.#rounds = rounds
  }

  /** With `retries`, each step is tried again until it succeeds, as a server does. */
  async run(store: DocumentStore, { retries }: { readonly retries: boolean }): Promise<void> {
    const step = (work: () => Promise<unknown>) => attempt(work, retries)
    for (let round = 1; round <= this.#rounds; round++) {
      await step(() => this.#append(store, 'a', [50, 60, 70]))
      await step(() => this.#append(store, 'b', [270_000]))
      await step(() => this.#append(store, 'b', [10, 265_000, 20]))
      await step(() => this.#checkpoint(store, 'b'))
      await step(() => this.#checkpoint(store, 'a'))
    }
    // Nothing is promised of a document while its deletion is under way.
    this.#acknowledged.delete('b')
    this.#checkpoints.delete('b')
    await step(() => store.delete('b'))
    await step(() => store.create('b'))
    await step(() => this.#append(store, 'b', [530_000, 5]))
  }

  /** Throws unless everything that was acknowledged is there, and everything that is there is whole. */
  async verify(store: DocumentStore): Promise<void> {
    for (const [documentId, updates] of this.#acknowledged) {
      const { checkpoint, entries } = await readPatiently(store, documentId)
      const covered = checkpoint?.revision ?? 0
      expectTrue(
        covered >= (this.#checkpoints.get(documentId) ?? 0),
        `the checkpoint of ${documentId} is there`,
      )
      if (checkpoint !== undefined) expectEqual(checkpoint.state, sampleBytes(270_000, covered), 'its state')
      const numbers = new Map(
        entries.map(({ revision, meta }) => [revision, Number(meta.author.split(' ')[0])]),
      )
      for (const [revision, number] of updates)
        if (revision > covered) expectEqual(numbers.get(revision), number, `${documentId} at ${revision}`)
      for (const { update, meta } of entries) {
        const [number = 0, size = 0] = meta.author.split(' ').map(Number)
        expectEqual(update, sampleBytes(size, number), `update ${number} of ${documentId}`)
      }
    }
  }

  async #append(store: DocumentStore, documentId: string, sizes: readonly number[]): Promise<void> {
    const numbers = sizes.map(() => ++this.#number)
    const entries = sizes.map((size, index) =>
      sampleEntry(sampleBytes(size, numbers[index]), { author: `${numbers[index]} ${size}` }),
    )
    const { first } = await appendTo(store, documentId, entries)
    const updates = this.#acknowledged.get(documentId) ?? new Map<number, number>()
    this.#acknowledged.set(documentId, updates)
    for (const [index, number] of numbers.entries()) updates.set(first + index, number)
  }

  async #checkpoint(store: DocumentStore, documentId: string): Promise<void> {
    const revision = (await store.head(documentId))?.revision ?? 0
    if (revision === 0) return
    await store.checkpoint(documentId, sampleCheckpoint(revision, sampleBytes(270_000, revision)))
    this.#checkpoints.set(documentId, revision)
  }
}

const attemptsMax = 50

async function attempt(work: () => Promise<unknown>, retries: boolean): Promise<void> {
  for (let number = 1; ; number++) {
    try {
      await work()
      return
    } catch (error) {
      if (!isPolyphonyError(error)) throw error
      // A creation that failed may have happened.
      if (error.code === 'document-exists' && number > 1) return
      if (!retries) return
      if (error.code !== 'store-failed' || number === attemptsMax) throw error
    }
  }
}

/** A store that recovers by itself may do so under a reader's hands, once. */
async function readPatiently(store: DocumentStore, documentId: string): Promise<ReadResult> {
  try {
    return await readAll(store, documentId)
  } catch (error) {
    if (!isPolyphonyError(error) || error.code !== 'store-failed') throw error
    return await readAll(store, documentId)
  }
}

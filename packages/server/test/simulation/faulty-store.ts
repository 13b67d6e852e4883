import { PolyphonyError } from '@polyphony/core'
import type { Append, AppendResult, Checkpoint, DocumentStore, LogEntry, ReadRange } from '@polyphony/storage'
import { LogOracle } from './log-oracle.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** How likely each fault is, from 0 to 1. */
export interface FaultRates {
  /** An append reports a failure and nothing was written. */
  appendFails: number
  /** An append reports a failure after it has written everything. */
  appendLies: number
  /** One document of a batch is refused, the others are not. */
  documentFails: number
  /** An append answers after seconds. */
  appendHangs: number
  readFails: number
  checkpointFails: number
  deleteFails: number
}

export const noFaults: FaultRates = {
  appendFails: 0,
  appendLies: 0,
  documentFails: 0,
  appendHangs: 0,
  readFails: 0,
  checkpointFails: 0,
  deleteFails: 0,
}

/**
 * A store that is slow, fails, hangs, and reports failures of what it carried out. What is durable in `inner` is
 * mirrored in an oracle for every incarnation of every document.
 */
export class FaultyStore {
  readonly oracles = new Map<string, LogOracle>()
  readonly counts = { appends: 0, failures: 0, lies: 0, hangs: 0, checkpoints: 0 }
  rates: FaultRates = noFaults
  /** What was wrong with something that was to be stored; the server must not take this for a fault of the store. */
  failure: unknown
  readonly #inner: DocumentStore
  readonly #clock: VirtualClock
  readonly #random: SeededRandom

  constructor(inner: DocumentStore, clock: VirtualClock, random: SeededRandom) {
    this.#inner = inner
    this.#clock = clock
    this.#random = random
  }

  /** The log of a document as it is now; `undefined` while there is none. */
  async oracleOf(documentId: string): Promise<LogOracle | undefined> {
    const head = await this.#inner.head(documentId)
    return head === undefined || head.tombstone !== undefined
      ? undefined
      : this.#oracle(documentId, head.incarnation)
  }

  /** What one process sees of the store; after `kill`, nothing is carried out and no answer comes back. */
  connect(): { readonly store: DocumentStore; readonly kill: () => void } {
    const process = { dead: false }
    const alive = async <T>(task: () => Promise<T>): Promise<T> => {
      await this.#delay(this.#random.int(8))
      if (process.dead) return new Promise(() => undefined)
      const result = await task()
      await this.#delay(this.#random.int(8))
      return process.dead ? new Promise(() => undefined) : result
    }
    const inner = this.#inner
    const store: DocumentStore = {
      capabilities: inner.capabilities,
      append: (batch) => alive(() => this.#append(batch, process)),
      read: (documentId, range) => this.#read(documentId, range),
      checkpoint: (documentId, checkpoint) => alive(() => this.#checkpoint(documentId, checkpoint)),
      head: (documentId) => alive(() => inner.head(documentId)),
      list: (query) => inner.list(query),
      create: (documentId) => alive(() => inner.create(documentId)),
      delete: (documentId, condition) =>
        alive(async () => {
          this.#fail(this.rates.deleteFails)
          await inner.delete(documentId, condition)
        }),
      close: async () => undefined,
    }
    return {
      store,
      kill: () => {
        process.dead = true
      },
    }
  }

  async #append(
    batch: readonly Append[],
    process: { readonly dead: boolean },
  ): Promise<readonly AppendResult[]> {
    const { rates, counts } = this
    counts.appends++
    const bytes = batch.map(({ entries }) => entries.map(({ update }) => update.slice()))
    if (this.#random.chance(rates.appendHangs)) {
      counts.hangs++
      await this.#delay(500 + this.#random.int(8_000))
      if (process.dead) return new Promise(() => undefined)
    }
    this.#fail(rates.appendFails)
    const refused = new Set(batch.filter(() => this.#random.chance(rates.documentFails)))
    const written = batch.filter((append) => !refused.has(append))
    const results = written.length === 0 ? [] : await this.#inner.append(written)
    try {
      written.forEach(({ documentId, entries }, index) => {
        const result = results[index]
        if (result?.ok === true) this.#oracle(documentId, result.incarnation).append(result.first, entries)
      })
      batch.forEach(({ entries }, at) =>
        entries.forEach(({ update }, index) => {
          if (!Buffer.from(update).equals(bytes[at]?.[index] ?? new Uint8Array()))
            throw new Error('Bytes were changed while they were being written')
        }),
      )
    } catch (error) {
      this.failure ??= error
    }
    if (this.#random.chance(rates.appendLies)) {
      counts.lies++
      throw new PolyphonyError('store-failed', 'The simulated store lost its answer.')
    }
    counts.failures += refused.size
    return batch.map((append) =>
      refused.has(append)
        ? {
            ok: false,
            error: new PolyphonyError('store-failed', 'The simulated store refuses one document.'),
          }
        : (results[written.indexOf(append)] as AppendResult),
    )
  }

  async *#read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    await this.#delay(this.#random.int(8))
    this.#fail(this.rates.readFails)
    for await (const item of this.#inner.read(documentId, range)) {
      yield item
      if (this.#random.chance(0.05)) await this.#delay(this.#random.int(8))
      this.#fail(this.rates.readFails / 20)
    }
  }

  async #checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    this.#fail(this.rates.checkpointFails)
    if (this.#random.chance(0.3)) await this.#delay(this.#random.int(3_000))
    await this.#inner.checkpoint(documentId, checkpoint)
    this.counts.checkpoints++
  }

  #fail(rate: number): void {
    if (!this.#random.chance(rate)) return
    this.counts.failures++
    throw new PolyphonyError('store-failed', 'The simulated store fails.')
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve))
  }

  #oracle(documentId: string, incarnation: string): LogOracle {
    const key = `${documentId} ${incarnation}`
    const oracle = this.oracles.get(key) ?? new LogOracle()
    this.oracles.set(key, oracle)
    return oracle
  }
}

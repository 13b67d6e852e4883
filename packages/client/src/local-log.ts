import {
  limitTable,
  toPolyphonyError,
  type PolyphonyError,
  type Clock,
  type Logger,
  type Random,
} from '@polyphony/core'
import { isCheckpoint, joinBytes, type DocumentStore, type NewEntry } from '@polyphony/storage'
import * as Y from 'yjs'
import { Backoff } from './backoff.ts'

/**
 * What an entry of the local log is, kept as its author:
 *
 * - `edit`: made here, and the server may not have it;
 * - `content`: anything else that the document shows;
 * - `confirmed`: the server has committed every edit above this entry.
 */
export type RecordKind = 'edit' | 'content' | 'confirmed'

/** What the log needs of the document, to make a checkpoint of it. */
export interface LogSubject {
  /** At least everything that was recorded. */
  snapshot(): { readonly state: Uint8Array; readonly stateVector: Uint8Array }
  /** The edits that the server may not have, in one update. */
  pendingUpdate(): Uint8Array | undefined
}

export interface LocalLogOptions {
  readonly store: DocumentStore
  /** The name of the document in the store. */
  readonly id: string
  readonly subject: LogSubject
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Called when `isSaved` or `error` may have changed. */
  readonly changed: () => void
  /** A checkpoint is made once so much stands above the last one. */
  readonly checkpointEntries?: number | undefined
  readonly checkpointBytes?: number | undefined
}

interface QueuedRecord {
  readonly kind: RecordKind
  readonly updates: Uint8Array[]
}

const nothing = new Uint8Array([0, 0])
const retryFirstMs = 500
const retryMaxMs = 30_000

/**
 * A document in a store of this machine. Records are appended in order, batched while the store is busy; a checkpoint
 * keeps the log short. A store that fails is tried again for as long as it may recover; meanwhile records wait in memory.
 */
export class LocalLog {
  readonly #options: LocalLogOptions
  readonly #checkpointEntries: number
  readonly #checkpointBytes: number
  readonly #backoff: Backoff
  #queue: QueuedRecord[] = []
  #waiting: { readonly position: number; readonly task: () => void }[] = []
  /** Counts of records: handed in, and durable. */
  #recorded = 0
  #durable = 0
  #flushing = false
  /** The batch under way. */
  #run: Promise<void> = Promise.resolve()
  #closed = false
  #error: PolyphonyError | undefined
  #gaveUp = false
  #cancelRetry = (): void => undefined
  #entriesAbove = 0
  #bytesAbove = 0

  constructor(options: LocalLogOptions) {
    this.#options = options
    this.#checkpointEntries = options.checkpointEntries ?? 500
    this.#checkpointBytes = options.checkpointBytes ?? 1 << 20
    this.#backoff = new Backoff({ random: options.random, firstMs: retryFirstMs, maxMs: retryMaxMs })
  }

  /** Whether everything that was recorded is durable. */
  get isSaved(): boolean {
    return this.#durable === this.#recorded && !this.#gaveUp
  }

  /** Why records wait, or, with `hasGivenUp`, why they are kept in memory only. */
  get error(): PolyphonyError | undefined {
    return this.#error
  }

  /** Whether the store cannot recover by itself. */
  get hasGivenUp(): boolean {
    return this.#gaveUp
  }

  /**
   * Hands out what is stored, in order. What cannot be read ends it: what was read before stays handed out, and nothing
   * is written any more, so that nothing is made worse.
   */
  async load(take: (kind: RecordKind, update: Uint8Array) => void): Promise<void> {
    const { store, id } = this.#options
    try {
      const head = await store.head(id)
      if (head?.tombstone !== undefined) await store.create(id)
      for await (const item of store.read(id)) {
        if (isCheckpoint(item)) take('content', await gather(item.state))
        else {
          take(kindOf(item.meta.author), item.update)
          this.#count(item.update)
        }
      }
    } catch (cause) {
      this.#giveUp(toPolyphonyError(cause, 'store-corrupt', { documentId: id }))
    }
  }

  /** Appends a record; see `whenDurable`. */
  record(kind: RecordKind, update: Uint8Array = nothing): void {
    // What is not written counts all the same: `isSaved` must not say that it is.
    this.#recorded++
    if (this.#gaveUp || this.#closed) return
    const last = this.#queue.at(-1)
    if (last?.kind === kind && kind !== 'confirmed') last.updates.push(update)
    else this.#queue.push({ kind, updates: [update] })
    this.#start()
  }

  /** Runs a task once everything that was recorded by now is durable; never, if that does not come about. */
  whenDurable(task: () => void): void {
    if (this.isSaved) task()
    else this.#waiting.push({ position: this.#recorded, task })
  }

  /** Waits for the batch under way, and writes what still waits unless the store fails. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelRetry()
    while (this.#flushing) await this.#run
    if (this.#queue.length > 0 && this.#error === undefined) await this.#append()
  }

  #start(): void {
    if (this.#flushing || this.#gaveUp || this.#closed || this.#queue.length === 0) return
    this.#flushing = true
    this.#run = this.#flush().finally(() => {
      this.#flushing = false
      // Something may have been recorded after the last look at the queue.
      if (this.#error === undefined) this.#start()
    })
  }

  async #flush(): Promise<void> {
    // What is recorded in the same task goes into the same batch.
    await Promise.resolve()
    while (this.#queue.length > 0 && !this.#gaveUp) {
      if (!(await this.#append())) return
      if (this.#entriesAbove >= this.#checkpointEntries || this.#bytesAbove >= this.#checkpointBytes)
        await this.#checkpoint()
    }
  }

  /** Results in whether the queue was written. */
  async #append(): Promise<boolean> {
    const batch = this.#queue
    this.#queue = []
    const upTo = this.#recorded
    const { clock, documentId, entries } = this.#entries(batch)
    try {
      await this.#write(entries)
    } catch (cause) {
      // The same bytes are written again: twice is as good as once.
      this.#queue = [...batch, ...this.#queue]
      this.#failed(toPolyphonyError(cause, 'store-failed', { documentId }), clock)
      return false
    }
    for (const { update } of entries) this.#count(update)
    this.#backoff.reset()
    this.#durable = upTo
    const recovered = this.#error !== undefined
    this.#error = undefined
    const due = this.#waiting.filter(({ position }) => position <= upTo)
    this.#waiting = this.#waiting.filter(({ position }) => position > upTo)
    for (const { task } of due) task()
    if (recovered) this.#options.logger.info({ documentId }, 'the local store works again')
    this.#options.changed()
    return true
  }

  async #write(entries: readonly NewEntry[]): Promise<void> {
    const { store, id } = this.#options
    const [result] = await store.append([{ documentId: id, entries }])
    if (result?.ok === false) throw result.error
  }

  #entries(batch: readonly QueuedRecord[]) {
    const { clock, id } = this.#options
    const committedAtMs = clock.now()
    const entries = batch.map(({ kind, updates }) => ({
      update: updates.length === 1 && updates[0] !== undefined ? updates[0] : mergeTree(updates),
      meta: { author: kind, committedAtMs },
    }))
    return { clock, documentId: id, entries }
  }

  #failed(error: PolyphonyError, clock: Clock): void {
    if (!error.retry || queuedBytes(this.#queue) > limitTable.queueBytesMax.default)
      return this.#giveUp(error)
    this.#error = error
    this.#options.logger.warn({ documentId: this.#options.id, code: error.code }, 'the local store fails')
    this.#cancelRetry = clock.after(this.#backoff.next(), () => this.#start())
    this.#options.changed()
  }

  #giveUp(error: PolyphonyError): void {
    this.#gaveUp = true
    this.#error = error
    this.#queue = []
    this.#options.logger.error(
      { documentId: this.#options.id, code: error.code, error: error.message },
      'the local store cannot be used; the document is kept in memory',
    )
    this.#options.changed()
  }

  #count(update: Uint8Array): void {
    this.#entriesAbove++
    this.#bytesAbove += update.length
  }

  /** What is pending is written once more, above the checkpoint: inside of it, nothing tells it apart. */
  async #checkpoint(): Promise<void> {
    const { store, id, subject, clock, logger } = this.#options
    try {
      const head = await store.head(id)
      if (head === undefined) return
      const { state, stateVector } = subject.snapshot()
      const pending = subject.pendingUpdate()
      const meta = { author: 'edit', committedAtMs: clock.now() }
      if (pending !== undefined) await this.#write([{ update: pending, meta }])
      const { revision, incarnation } = head
      await store.checkpoint(id, { revision, incarnation, stateVector, state: oneChunk(state) })
      this.#bytesAbove = pending?.length ?? 0
    } catch (cause) {
      // The log is longer than it need be, and nothing else; the next one comes after as many entries again.
      logger.warn({ documentId: id, error: String(cause) }, 'no checkpoint of the local log')
      this.#bytesAbove = 0
    }
    this.#entriesAbove = 0
  }
}

function kindOf(author: string): RecordKind {
  return author === 'edit' || author === 'confirmed' ? author : 'content'
}

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of chunks) parts.push(part)
  return joinBytes(parts)
}

// oxlint-disable-next-line require-await -- the contract wants an async iterable
async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const mergeFanIn = 64

/** Merging thousands of updates flat costs the square of their number. */
function mergeTree(updates: readonly Uint8Array[]): Uint8Array {
  let level = updates
  while (level.length > 1) {
    const merged: Uint8Array[] = []
    for (let at = 0; at < level.length; at += mergeFanIn)
      merged.push(Y.mergeUpdates(level.slice(at, at + mergeFanIn)))
    level = merged
  }
  return level[0] ?? nothing
}

function queuedBytes(queue: readonly QueuedRecord[]): number {
  return queue.reduce(
    (sum, { updates }) => sum + updates.reduce((bytes, update) => bytes + update.length, 0),
    0,
  )
}

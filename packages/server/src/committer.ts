import {
  limitTable,
  PolyphonyError,
  toPolyphonyError,
  type Clock,
  type Logger,
  type Random,
  type Telemetry,
} from '@polyphony/core'
import type { AppendResult, DocumentStore, NewEntry } from '@polyphony/storage'

/** A document's side of the committer: hands out what waits, and hears what became of it. None of its methods throws. */
export interface CommitSource {
  readonly documentId: string
  /** Whether the document was closed: what failed is not tried again. */
  readonly isClosed: boolean
  /** The incarnation that the entries were made for; `undefined` while the document does not exist. */
  readonly incarnation: string | undefined
  /** What was taken last is written only at the head that this expects, and it hears when the head is elsewhere. */
  readonly race?: { readonly expect: number | undefined; overtaken(): void } | undefined
  /** The next entries to write, at most `bytesMax` of them unless the first alone is larger; empty when nothing waits. */
  takeEntries(bytesMax: number): readonly NewEntry[]
  committed(entries: readonly NewEntry[], first: number, incarnation: string): void
  /** Called at each failed attempt; the same entries are tried again unless this returns false. */
  commitFailed(entries: readonly NewEntry[], error: PolyphonyError, failingForMs: number): boolean
  /** Called now and then while the store gives no answer at all. */
  commitStalled(stalledForMs: number): void
}

export interface CommitterOptions {
  readonly store: DocumentStore
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly telemetry: Telemetry
  /** The longest pause between two attempts. Default: that of the table of limits. */
  readonly retryMsMax?: number | undefined
}

const batchBytesMax = 1 << 20
const batchesMax = 4
const backoffMsFirst = 20
const stallCheckMs = 1_000

interface BatchPart {
  readonly source: CommitSource
  readonly entries: readonly NewEntry[]
}

/**
 * Gathers what all rooms queued and writes it in one batch (group commit). A document takes part in one batch at a time,
 * so its entries are written in order; an entry whose fate is unknown is written again, byte for byte, until the store
 * answers: appending equal bytes twice is harmless in a CRDT.
 */
export class Committer {
  readonly #options: CommitterOptions
  readonly #waiting = new Set<CommitSource>()
  readonly #busy = new Set<CommitSource>()
  readonly #observers: (() => void)[] = []
  #batches = 0
  #scheduled = false
  #failing = 0

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /** Whether the store is in trouble: the last attempt of some document failed, or has no answer yet. */
  get failing(): boolean {
    return this.#failing > 0
  }

  /** Tells that a source has entries waiting. */
  notify(source: CommitSource): void {
    this.#waiting.add(source)
    if (this.#scheduled) return
    this.#scheduled = true
    // A microtask later, whatever arrived in the same read of the sockets is in the same batch.
    queueMicrotask(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  /** Resolves when nothing waits and nothing is under way. */
  async drain(): Promise<void> {
    while (this.#busy.size > 0 || this.#waiting.size > 0) await this.#changed()
  }

  /** Resolves when nothing of one document is being written or about to be tried again. */
  async settled(source: CommitSource): Promise<void> {
    while (this.#busy.has(source)) await this.#changed()
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#observers.push(resolve))
  }

  #pump(): void {
    while (this.#batches < batchesMax) {
      const batch: BatchPart[] = []
      let bytes = 0
      for (const source of this.#waiting) {
        if (this.#busy.has(source)) continue
        if (bytes >= batchBytesMax) break
        this.#waiting.delete(source)
        const entries = source.takeEntries(batchBytesMax - bytes)
        if (entries.length === 0) continue
        batch.push({ source, entries })
        bytes += sizeOf(entries)
      }
      if (batch.length === 0) break
      this.#batches++
      for (const { source } of batch) this.#busy.add(source)
      void this.#write(batch, bytes)
    }
    for (const resolve of this.#observers.splice(0)) resolve()
  }

  async #write(batch: readonly BatchPart[], bytes: number): Promise<void> {
    const { clock, telemetry } = this.#options
    const startedAt = clock.now()
    const results = await this.#append(batch, startedAt)
    this.#batches--
    telemetry.observe('polyphony_commit_duration_ms', clock.now() - startedAt)
    telemetry.observe(
      'polyphony_commit_batch_size',
      batch.reduce((count, { entries }) => count + entries.length, 0),
    )
    telemetry.observe('polyphony_commit_batch_bytes', bytes)
    batch.forEach(({ source, entries }, index) => {
      const result = results[index]
      if (result?.ok === true) this.#settle(source, entries, result)
      else
        this.#retry(source, entries, result?.error ?? missingResult(source.documentId), {
          attempt: 1,
          since: startedAt,
        })
    })
    this.#pump()
  }

  #settle(
    source: CommitSource,
    entries: readonly NewEntry[],
    result: { first: number; incarnation: string },
  ): void {
    source.committed(entries, result.first, result.incarnation)
    this.#release(source)
  }

  #release(source: CommitSource): void {
    this.#busy.delete(source)
    // It may have queued more while it was busy.
    this.#waiting.add(source)
  }

  #retry(
    source: CommitSource,
    entries: readonly NewEntry[],
    error: PolyphonyError,
    progress: { readonly attempt: number; readonly since: number },
  ): void {
    const { clock, random, logger, telemetry } = this.#options
    if (error.code === 'precondition-failed' && source.race !== undefined) {
      if (progress.attempt > 1) this.#failing--
      telemetry.count('polyphony_commit_races_lost_total', 1)
      source.race.overtaken()
      this.#release(source)
      return
    }
    if (progress.attempt === 1) this.#failing++
    telemetry.count('polyphony_commit_failures_total', 1, { code: error.code })
    const failingForMs = clock.now() - progress.since
    logger.warn(
      {
        documentId: source.documentId,
        code: error.code,
        error: error.message,
        attempt: progress.attempt,
        failingForMs,
      },
      'commit failed; it is tried again',
    )
    if (!source.commitFailed(entries, error, failingForMs)) {
      this.#failing--
      this.#release(source)
      return
    }
    const { retryMsMax = limitTable.storeRetryMsMax.default } = this.#options
    const backoff = Math.min(retryMsMax, backoffMsFirst * 2 ** (progress.attempt - 1))
    const jittered = backoff * (0.5 + random.uint32() / 2 ** 33)
    clock.after(jittered, () => {
      if (source.isClosed) {
        this.#failing--
        this.#release(source)
        this.#pump()
        return
      }
      void this.#append([{ source, entries }], progress.since).then(([result]) => {
        if (result?.ok === true) {
          this.#failing--
          logger.info(
            { documentId: source.documentId, attempts: progress.attempt + 1 },
            'commit succeeded after failures',
          )
          this.#settle(source, entries, result)
        } else {
          const next = result?.error ?? missingResult(source.documentId)
          this.#retry(source, entries, next, { attempt: progress.attempt + 1, since: progress.since })
        }
        this.#pump()
      })
    })
  }

  /** One result per document, whatever the store does. */
  async #append(batch: readonly BatchPart[], since: number): Promise<readonly AppendResult[]> {
    const answered = this.#watch(batch, since)
    try {
      return await this.#options.store.append(
        batch.map(({ source, entries }) => ({
          documentId: source.documentId,
          entries,
          incarnation: source.incarnation,
          expect: source.race?.expect,
        })),
      )
    } catch (cause) {
      return batch.map(({ source }) => ({
        ok: false,
        error: toPolyphonyError(cause, 'store-failed', { documentId: source.documentId }),
      }))
    } finally {
      answered()
    }
  }

  /** Tells the documents of a batch while it has no answer. Nothing is written again meanwhile: it may still arrive. */
  #watch(batch: readonly BatchPart[], since: number): () => void {
    const { clock } = this.#options
    let stalled = false
    const look = (): void => {
      if (!stalled) this.#failing++
      stalled = true
      for (const { source } of batch) source.commitStalled(clock.now() - since)
      cancel = clock.after(stallCheckMs, look)
    }
    let cancel = clock.after(stallCheckMs, look)
    return () => {
      cancel()
      if (stalled) this.#failing--
    }
  }
}

function sizeOf(entries: readonly NewEntry[]): number {
  return entries.reduce((bytes, { update }) => bytes + update.length, 0)
}

function missingResult(documentId: string): PolyphonyError {
  return new PolyphonyError('store-failed', `The store gave no result for "${documentId}".`, { documentId })
}

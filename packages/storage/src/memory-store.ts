import { parseDocumentId, systemClock, systemRandom, type Clock, type Random } from '@polyphony/core'
import { closedError } from './closed-error.ts'
import { assertBatch, refuseAppend, refuseAppendAt } from './append-check.ts'
import { assertCheckpoint, refuseCheckpointAt } from './checkpoint-check.ts'
import { matchesQuery } from './document-order.ts'
import type {
  Append,
  AppendResult,
  Checkpoint,
  DocumentInfo,
  DocumentStore,
  Head,
  HeadCondition,
  ListQuery,
  LogEntry,
  ReadRange,
  StoreCapabilities,
} from './document-store.ts'
import { assertCondition, refuseHead } from './head-condition.ts'
import { documentExists, MemoryDisk, type MemoryDocument } from './memory-disk.ts'
import { planRead } from './read-plan.ts'
import { defaultRetention, type RetentionPolicy } from './retention.ts'

export interface MemoryStoreOptions {
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  readonly retention?: RetentionPolicy | undefined
  /** Where the documents are; give the same one to several stores to simulate a restart or several nodes. */
  readonly disk?: MemoryDisk | undefined
}

/**
 * The reference: short, obvious, deterministic under an injected clock and randomness. Everything is in memory and ends
 * with the process.
 */
export class MemoryStore implements DocumentStore {
  readonly disk: MemoryDisk
  readonly #clock: Clock
  readonly #random: Random
  readonly #retention: RetentionPolicy
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    this.disk = options.disk ?? new MemoryDisk()
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#retention = options.retention ?? defaultRetention
  }

  get capabilities(): StoreCapabilities {
    return {
      name: 'memory',
      survives: { processKill: false, powerCut: false, failover: false },
      shared: false,
    }
  }

  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    this.assertOpen()
    assertBatch(batch)
    const results = batch.map((append) => this.#append(append))
    batch.forEach(({ documentId }, index) => {
      if (results[index]?.ok === true) this.disk.announce(documentId)
    })
    return results
  }

  async *read(documentId: string, range: ReadRange = {}): AsyncIterable<Checkpoint | LogEntry> {
    const document = this.#find(documentId)
    if (document === undefined || document.deletedAtMs !== undefined) return
    const first = document.entries[0]?.revision ?? document.revision + 1
    const { checkpoint } = document
    const plan = planRead(documentId, range, {
      first,
      head: document.revision,
      checkpoint: checkpoint?.revision,
    })
    // A copy of the list, so that what happens meanwhile does not disturb the reader.
    const entries = document.entries.filter(({ revision }) => revision >= plan.from && revision <= plan.to)
    if (plan.checkpoint && checkpoint !== undefined) {
      yield {
        revision: checkpoint.revision,
        incarnation: document.incarnation,
        stateVector: checkpoint.stateVector.slice(),
        state: this.#chunks(checkpoint.state),
      }
    }
    for (const { revision, update, meta } of entries) {
      this.assertOpen()
      yield { revision, update: update.slice(), meta: { ...meta } }
    }
  }

  async checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    assertCheckpoint(checkpoint)
    this.#assertCheckpointFits(documentId, checkpoint)
    const state: Uint8Array[] = []
    for await (const chunk of checkpoint.state) state.push(chunk.slice())
    const { incarnation } = this.#assertCheckpointFits(documentId, checkpoint)
    this.disk.keepCheckpoint(
      documentId,
      { revision: checkpoint.revision, incarnation, stateVector: checkpoint.stateVector.slice(), state },
      { retention: this.#retention, nowMs: this.#clock.now() },
    )
  }

  async head(documentId: string): Promise<Head | undefined> {
    const document = this.#find(documentId)
    return document === undefined ? undefined : headOf(document)
  }

  async *list(query: ListQuery = {}): AsyncIterable<DocumentInfo> {
    this.assertOpen()
    let left = query.limit ?? Infinity
    for (const [documentId, document] of this.disk.inOrder()) {
      if (left <= 0) return
      this.assertOpen()
      const info = { documentId, ...headOf(document) }
      if (!matchesQuery(info, query)) continue
      left--
      yield info
    }
  }

  async create(documentId: string): Promise<Head> {
    const existing = this.#find(documentId)
    if (existing !== undefined && existing.deletedAtMs === undefined) throw documentExists(documentId)
    return headOf(this.disk.create(documentId, this.#random.hex(8)))
  }

  async delete(documentId: string, condition: HeadCondition = {}): Promise<void> {
    assertCondition(condition)
    const document = this.#find(documentId)
    const error = refuseHead(documentId, condition, document === undefined ? undefined : headOf(document))
    if (error !== undefined) throw error
    if (document === undefined || document.deletedAtMs !== undefined) return
    this.disk.delete(documentId, this.#clock.now())
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  /** Throws `store-closed` after `close`. */
  protected assertOpen(): void {
    if (this.#closed) throw closedError(this.capabilities.name)
  }

  #append(append: Append): AppendResult {
    const { documentId, entries } = append
    const before = this.disk.documents.get(documentId)
    const error =
      refuseAppend(append) ?? refuseAppendAt(append, before === undefined ? undefined : headOf(before))
    if (error !== undefined) return { ok: false, error }
    const document = before ?? this.disk.create(documentId, this.#random.hex(8))
    const first = document.revision + 1
    this.disk.append(document, entries)
    return { ok: true, first, last: document.revision, incarnation: document.incarnation }
  }

  #find(documentId: string): MemoryDocument | undefined {
    this.assertOpen()
    return this.disk.documents.get(parseDocumentId(documentId))
  }

  #assertCheckpointFits(documentId: string, checkpoint: Checkpoint): MemoryDocument {
    const document = this.#find(documentId)
    const head = document === undefined ? undefined : headOf(document)
    const error = refuseCheckpointAt(documentId, checkpoint, head)
    if (error !== undefined) throw error
    return document as MemoryDocument
  }

  async *#chunks(state: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
    for (const chunk of state) {
      this.assertOpen()
      yield chunk.slice()
    }
  }
}

function headOf(document: MemoryDocument): Head {
  const { incarnation, revision, deletedAtMs, checkpoint } = document
  if (deletedAtMs !== undefined) return { incarnation, revision, bytes: 0, tombstone: { deletedAtMs } }
  const above = document.endOffset - (checkpoint?.endOffset ?? 0)
  return { incarnation, revision, bytes: (checkpoint?.bytes ?? 0) + above }
}

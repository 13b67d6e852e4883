import { PolyphonyError } from '@polyphony/core'
import {
  corrupt,
  decodeCheckpoint,
  decodeEntry,
  documentDeleted,
  incarnationMismatch,
  planRead,
  type Checkpoint,
  type ChunkReference,
  type LogEntry,
  type ReadRange,
  type StoredEntry,
} from '@polyphony/storage'
import type { ChunkStore } from './chunk-store.ts'
import { loadHead } from './head-loader.ts'
import { checkpointKey, entryKeyRevision } from './keys.ts'
import { nameDocument, type LevelDatabase, type Snapshot } from './level-database.ts'
import type { StoredHead } from './stored-head.ts'

export interface DocumentReaderOptions {
  readonly database: LevelDatabase
  readonly chunks: ChunkStore
  /** Added to incarnations. */
  readonly generation: string
  /** Throws once the store is closed. */
  readonly assertOpen: () => void
}

/** Reads documents as of one instant, however slowly they are consumed. */
export class DocumentReader {
  readonly #options: DocumentReaderOptions

  constructor(options: DocumentReaderOptions) {
    this.#options = options
  }

  /** One entry, its large update not fetched. Throws `store-corrupt` when it is not there. */
  async entry({ documentId, keys }: StoredHead, revision: number): Promise<StoredEntry> {
    const key = keys.entry(revision)
    try {
      return decodeEntry(await this.#options.database.get(key), key, { documentId, revision })
    } catch (error) {
      throw nameDocument(error, documentId)
    }
  }

  /** See `DocumentStore.read`. */
  async *read(documentId: string, range: ReadRange): AsyncGenerator<Checkpoint | LogEntry> {
    const snapshot = await this.#options.database.snapshot()
    try {
      const head = await loadHead(this.#options.database, documentId, snapshot)
      if (head === undefined || head.deletedAtMs !== undefined) return
      const { first, revision, checkpoint } = head
      const plan = planRead(documentId, range, { first, head: revision, checkpoint: checkpoint?.revision })
      const parts = this.#parts(head, plan, snapshot)
      if (snapshot !== undefined) yield* parts
      else yield* this.#explainChanges(head, parts)
    } catch (error) {
      throw nameDocument(error, documentId)
    } finally {
      await snapshot?.close()
    }
  }

  async *#parts(
    head: StoredHead,
    plan: { readonly checkpoint: boolean; readonly from: number; readonly to: number },
    snapshot: Snapshot,
  ): AsyncGenerator<Checkpoint | LogEntry> {
    if (plan.checkpoint) yield await this.#checkpoint(head, snapshot)
    if (plan.from <= plan.to) yield* this.#entries(head, plan.from, plan.to, snapshot)
  }

  async #checkpoint({ documentId, incarnation }: StoredHead, snapshot: Snapshot): Promise<Checkpoint> {
    const { database, generation } = this.#options
    const key = checkpointKey(documentId)
    const stored = decodeCheckpoint(await database.get(key, snapshot), key, documentId)
    return {
      revision: stored.revision,
      incarnation: incarnation + generation,
      stateVector: stored.stateVector,
      state: this.#state(documentId, stored.chunks, snapshot),
    }
  }

  async *#entries(head: StoredHead, from: number, to: number, snapshot: Snapshot): AsyncGenerator<LogEntry> {
    const { database, chunks, assertOpen } = this.#options
    const { documentId, keys } = head
    let expected = from
    for await (const [key, record] of database.pairs(keys.entries(from, to), snapshot)) {
      assertOpen()
      const revision = entryKeyRevision(key)
      if (revision !== expected) throw corrupt({ documentId, what: `entry ${expected}` }, 'it is missing')
      expected++
      const { meta, update } = decodeEntry(record, key, { documentId, revision })
      const what = `entry ${revision}`
      const whole =
        update instanceof Uint8Array ? update : await chunks.readWhole(update, { documentId, what }, snapshot)
      yield { revision, update: whole, meta }
    }
    if (expected <= to) throw corrupt({ documentId, what: `entry ${expected}` }, 'it is missing')
  }

  async *#state(
    documentId: string,
    reference: ChunkReference,
    snapshot: Snapshot,
  ): AsyncGenerator<Uint8Array> {
    const { chunks, assertOpen } = this.#options
    try {
      for await (const chunk of chunks.read(reference, { documentId, what: 'checkpoint' }, snapshot)) {
        assertOpen()
        yield chunk
      }
    } catch (error) {
      assertOpen()
      throw nameDocument(error, documentId)
    }
  }

  /**
   * Without snapshots (IndexedDB) a document may change under the reader's hands. What then looks like damage is named
   * for what it is.
   */
  async *#explainChanges(
    before: StoredHead,
    parts: AsyncGenerator<Checkpoint | LogEntry>,
  ): AsyncGenerator<Checkpoint | LogEntry> {
    try {
      yield* parts
    } catch (error) {
      const { documentId, incarnation } = before
      const after = await loadHead(this.#options.database, documentId)
      if (after === undefined || after.deletedAtMs !== undefined) throw documentDeleted(documentId)
      if (after.incarnation !== incarnation)
        throw incarnationMismatch(documentId, incarnation, after.incarnation)
      if (after.first === before.first && after.checkpoint?.set === before.checkpoint?.set) throw error
      throw new PolyphonyError(
        'revision-expired',
        `"${documentId}" was trimmed while it was read: read again.`,
        {
          documentId,
          cause: error,
        },
      )
    }
  }
}

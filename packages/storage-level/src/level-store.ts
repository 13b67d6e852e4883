import { parseDocumentId, type Clock, type Logger, type Random } from '@polyphony/core'
import {
  assertBatch,
  assertCheckpoint,
  assertCondition,
  closedError,
  documentExists,
  encodeCheckpoint,
  rechunk,
  refuseCheckpointAt,
  refuseHead,
  retentionCut,
  updateBytes,
  type Append,
  type AppendResult,
  type Checkpoint,
  type DocumentInfo,
  type DocumentStore,
  type Head,
  type HeadCondition,
  type ListQuery,
  type LogEntry,
  type ReadRange,
  type RetentionPolicy,
  type StoreCapabilities,
} from '@polyphony/storage'
import { hasLargeEntries, planAppends, prepareAppend, type PreparedAppend } from './append-plan.ts'
import { ChunkStore } from './chunk-store.ts'
import { DocumentReader } from './document-reader.ts'
import { GroupWriter, type HeadView, type Plan } from './group-writer.ts'
import { HeadCache } from './head-cache.ts'
import { loadHead } from './head-loader.ts'
import { Janitor } from './janitor.ts'
import { checkpointKey, chunkRange, headKeyId, headRange } from './keys.ts'
import type { LevelDatabase, Operation } from './level-database.ts'
import { beginSession, endSession, type Place } from './session.ts'
import { decodeHead, newHead, publicHead, type StoredHead } from './stored-head.ts'
import { deleteTrash, putTrash } from './trash.ts'

export interface LevelStoreSettings {
  readonly capabilities: StoreCapabilities
  readonly fsync: boolean
  readonly place: Place | undefined
  readonly retention: RetentionPolicy
  readonly headsCachedMax: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Documents in one LevelDB database, of one process. Open it with `openLevelStore`. An append is settled once LevelDB has
 * written it to its log and, unless `fsync` is off, waited for the disk.
 */
export class LevelStore implements DocumentStore {
  readonly capabilities: StoreCapabilities
  readonly #settings: LevelStoreSettings
  readonly #database: LevelDatabase
  readonly #generation: string
  readonly #writer: GroupWriter
  readonly #janitor: Janitor
  readonly #chunks: ChunkStore
  readonly #reader: DocumentReader
  readonly #cache: HeadCache
  #closing: Promise<void> | undefined

  private constructor(database: LevelDatabase, generation: string, settings: LevelStoreSettings) {
    const { capabilities, fsync, headsCachedMax, logger, random } = settings
    this.capabilities = capabilities
    this.#settings = settings
    this.#database = database
    this.#generation = generation
    this.#cache = new HeadCache(headsCachedMax)
    this.#writer = new GroupWriter({
      database,
      cache: this.#cache,
      sync: fsync,
      storeName: capabilities.name,
    })
    this.#janitor = new Janitor({ database, writer: this.#writer, logger })
    this.#chunks = new ChunkStore({ database, writer: this.#writer, janitor: this.#janitor, random })
    const assertOpen = () => this.#assertOpen()
    this.#reader = new DocumentReader({ database, chunks: this.#chunks, generation, assertOpen })
  }

  /** On an open database, which the store closes in the end. */
  static async start(database: LevelDatabase, settings: LevelStoreSettings): Promise<LevelStore> {
    const store = new LevelStore(database, await beginSession(database, settings), settings)
    await store.#janitor.recover()
    return store
  }

  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    this.#assertOpen()
    assertBatch(batch)
    if (batch.length === 0) return []
    if (!hasLargeEntries(batch)) return await this.#commitAppends(batch.map(withoutLarge))
    const prepared: PreparedAppend[] = []
    try {
      for (const append of batch) prepared.push(await prepareAppend(append, this.#chunks))
      return await this.#commitAppends(prepared)
    } finally {
      // Those that became part of a document are no longer in the trash, so this does not touch them.
      for (const { large } of prepared) for (const { set } of large.values()) this.#chunks.discard(set)
    }
  }

  async *read(documentId: string, range: ReadRange = {}): AsyncGenerator<Checkpoint | LogEntry> {
    this.#assertOpen()
    parseDocumentId(documentId)
    try {
      yield* this.#reader.read(documentId, range)
    } catch (error) {
      // A database that was closed under the reader's hands has other words for it.
      this.#assertOpen()
      throw error
    }
  }

  async checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    this.#assertOpen()
    parseDocumentId(documentId)
    assertCheckpoint(checkpoint)
    const head = await this.#head(documentId)
    const refusal = refuseCheckpointAt(documentId, checkpoint, this.#public(head))
    if (refusal !== undefined) throw refusal
    const { revision } = checkpoint
    if (head === undefined || revision <= (head.checkpoint?.revision ?? 0)) return
    const stateVector = checkpoint.stateVector.slice()
    const last = await this.#reader.entry(head, revision)
    const endOffset = last.offset + updateBytes(last)
    const chunks = await this.#chunks.write(rechunk(checkpoint.state))
    try {
      const written = { documentId, incarnation: head.incarnation, revision, endOffset, chunks, stateVector }
      const replaced = await this.#writer.commit([documentId], 1000, (heads) =>
        this.#planCheckpoint(heads, written),
      )
      if (replaced !== undefined) this.#chunks.discard(replaced)
    } finally {
      // Not in the trash any more if it became the document's checkpoint.
      this.#chunks.discard(chunks.set)
    }
    this.#janitor.schedule(() => this.#trim(documentId))
  }

  async head(documentId: string): Promise<Head | undefined> {
    this.#assertOpen()
    return this.#public(await this.#head(parseDocumentId(documentId)))
  }

  async *list(query: ListQuery = {}): AsyncGenerator<DocumentInfo> {
    this.#assertOpen()
    const { prefix = '', after, limit = Infinity, deleted = false } = query
    let left = limit
    if (left <= 0) return
    try {
      for await (const [key, record] of this.#database.pairs(headRange(prefix, after))) {
        this.#assertOpen()
        const documentId = headKeyId(key)
        if (!documentId.startsWith(prefix)) continue
        const head = decodeHead(record, documentId)
        if (head.deletedAtMs !== undefined && !deleted) continue
        yield { documentId, ...publicHead(head, this.#generation) }
        left--
        if (left <= 0) return
      }
    } catch (error) {
      this.#assertOpen()
      throw error
    }
  }

  async create(documentId: string): Promise<Head> {
    this.#assertOpen()
    parseDocumentId(documentId)
    const head = await this.#writer.commit([documentId], 100, (heads) => {
      const found = heads.get(documentId)
      if (found !== undefined && found.deletedAtMs === undefined) throw documentExists(documentId)
      const created = newHead(documentId, this.#settings.random.hex(8))
      return { heads: [created], operations: [], result: created }
    })
    return publicHead(head, this.#generation)
  }

  async delete(documentId: string, condition: HeadCondition = {}): Promise<void> {
    this.#assertOpen()
    parseDocumentId(documentId)
    assertCondition(condition)
    const removed = await this.#writer.commit([documentId], 200, (heads) => {
      const error = refuseHead(documentId, condition, this.#public(heads.get(documentId)))
      if (error !== undefined) throw error
      return planDelete(heads, documentId, this.#settings.clock.now())
    })
    for (const range of removed) this.#janitor.sweep(range)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const janitor = this.#janitor.close()
    await this.#writer.close()
    await janitor
    try {
      if (!this.#database.isTaken) await endSession(this.#database)
    } finally {
      await this.#database.close()
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.capabilities.name)
  }

  #public(head: StoredHead | undefined): Head | undefined {
    return head === undefined ? undefined : publicHead(head, this.#generation)
  }

  async #head(documentId: string): Promise<StoredHead | undefined> {
    return this.#cache.get(documentId) ?? (await loadHead(this.#database, documentId))
  }

  #commitAppends(batch: readonly PreparedAppend[]): Promise<readonly AppendResult[]> {
    const ids = batch.map(({ append }) => append.documentId)
    const bytes = batch.reduce((sum, { append, large }) => sum + inlineBytes(append, large), 0)
    const newIncarnation = () => this.#settings.random.hex(8)
    return this.#writer.commit(ids, bytes, (heads) =>
      planAppends(batch, heads, { generation: this.#generation, newIncarnation }),
    )
  }

  /** Results in the set of the checkpoint that it replaces. */
  #planCheckpoint(heads: HeadView, written: WrittenCheckpoint): Plan<string | undefined> {
    const { documentId, incarnation, revision, endOffset, chunks, stateVector } = written
    const head = heads.get(documentId)
    const expected = { revision, incarnation: incarnation + this.#generation }
    const refusal = refuseCheckpointAt(documentId, expected, this.#public(head))
    if (refusal !== undefined) throw refusal
    const nothing = { heads: [], operations: [], result: undefined }
    const old = head?.checkpoint
    if (head === undefined || revision <= (old?.revision ?? 0)) return nothing
    const key = checkpointKey(documentId)
    const value = encodeCheckpoint({ revision, endOffset, chunks, stateVector }, key)
    const operations: Operation[] = [{ type: 'put', key, value }, deleteTrash(chunkRange(chunks.set))]
    if (old !== undefined) operations.push(putTrash(chunkRange(old.set)))
    const checkpoint = { revision, bytes: chunks.bytes, endOffset, set: chunks.set }
    return { heads: [{ ...head, checkpoint }], operations, result: old?.set }
  }

  /** Removes what the newest checkpoint covers and the policy does not keep. */
  async #trim(documentId: string): Promise<void> {
    const head = await this.#head(documentId)
    if (head?.checkpoint === undefined || head.deletedAtMs !== undefined) return
    const { checkpoint, incarnation, first, keys } = head
    const covered = { first, last: checkpoint.revision, endOffset: checkpoint.endOffset }
    const cut = await retentionCut(
      this.#settings.retention,
      covered,
      this.#settings.clock.now(),
      async (revision) => {
        const { meta, offset } = await this.#reader.entry(head, revision)
        return { committedAtMs: meta.committedAtMs, offset }
      },
    )
    if (cut < first) return
    // From 0, so that what an earlier removal left behind is in it.
    const ranges = [keys.larges(0, cut), keys.entries(0, cut)]
    const trimmed = await this.#writer.commit([documentId], 200, (heads) => {
      const now = heads.get(documentId)
      if (now === undefined || now.incarnation !== incarnation || now.deletedAtMs !== undefined)
        return { heads: [], operations: [], result: false }
      return { heads: [{ ...now, first: cut + 1 }], operations: ranges.map(putTrash), result: true }
    })
    if (trimmed) for (const range of ranges) this.#janitor.sweep(range)
  }
}

interface WrittenCheckpoint {
  readonly documentId: string
  readonly incarnation: string
  readonly revision: number
  readonly endOffset: number
  readonly chunks: { readonly set: string; readonly count: number; readonly bytes: number }
  readonly stateVector: Uint8Array
}

function planDelete(
  heads: HeadView,
  documentId: string,
  deletedAtMs: number,
): Plan<ReturnType<typeof rangesOf>> {
  const head = heads.get(documentId)
  if (head === undefined || head.deletedAtMs !== undefined) return { heads: [], operations: [], result: [] }
  const ranges = rangesOf(head)
  const { incarnation, revision, keys } = head
  const tombstone: StoredHead = {
    documentId,
    incarnation,
    revision,
    endOffset: 0,
    first: revision + 1,
    deletedAtMs,
    keys,
  }
  const operations: Operation[] = ranges.map(putTrash)
  operations.push({ type: 'del', key: checkpointKey(documentId) })
  return { heads: [tombstone], operations, result: ranges }
}

/** All that a document has beside its head and the record of its checkpoint. */
function rangesOf({ keys, revision, checkpoint }: StoredHead) {
  const log = [keys.larges(0, revision), keys.entries(0, revision)]
  return checkpoint === undefined ? log : [...log, chunkRange(checkpoint.set)]
}

const noLarge: PreparedAppend['large'] = new Map()

function withoutLarge(append: Append): PreparedAppend {
  return { append, refusal: undefined, large: noLarge }
}

function inlineBytes({ entries }: Append, large: PreparedAppend['large']): number {
  return entries.reduce((sum, { update }, index) => sum + (large.has(index) ? 0 : update.length) + 200, 0)
}

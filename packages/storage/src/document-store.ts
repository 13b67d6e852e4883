import type { PolyphonyError } from '@polyphony/core'

/** Contiguous per document and incarnation: 1 for its first log entry, 0 = nothing yet. */
export type Revision = number

/** Who made an entry, in which run, when. Stored with it; JSON-safe; at most 4 KB encoded. */
export interface EntryMeta {
  readonly author: string
  readonly runId?: string | undefined
  readonly committedAtMs: number
  /** Random per append attempt group: the same for a retry of the same bytes. */
  readonly appendId?: string | undefined
  readonly idempotencyKey?: string | undefined
}

export interface NewEntry {
  /** A Yjs update (format v1). */
  readonly update: Uint8Array
  readonly meta: EntryMeta
}

export interface LogEntry extends NewEntry {
  readonly revision: Revision
}

/**
 * The state of a document up to and including `revision`, in chunks: one Yjs update, or a series of them
 * (`encodeUpdateSeries`). To a store it is just bytes.
 */
export interface Checkpoint {
  readonly revision: Revision
  /** Stores fill it in on `read`. Given to `checkpoint`: fails with `incarnation-mismatch` unless the document has it. */
  readonly incarnation?: string | undefined
  readonly stateVector: Uint8Array
  /**
   * Chunks of any size; only their concatenation has a meaning. One that `read` gave is consumed at most once, before the
   * next item is asked for; one that is left unread is skipped.
   */
  readonly state: AsyncIterable<Uint8Array>
}

export interface Head {
  /** Random; new whenever the continuity of the log breaks (created again, restored, tail lost). */
  readonly incarnation: string
  readonly revision: Revision
  /** Bytes of the newest checkpoint plus the log above it, as they are stored; 0 for a tombstone. */
  readonly bytes: number
  /** Set while the document is deleted; incarnation and revision are those of what was deleted. */
  readonly tombstone?: { readonly deletedAtMs: number } | undefined
}

export interface DocumentInfo extends Head {
  readonly documentId: string
}

/** What the head of a document must be for a write to take place. */
export interface HeadCondition {
  /** Compare-and-set: fails with `precondition-failed` unless the head is at this revision. */
  readonly expect?: Revision | undefined
  /** Fails with `incarnation-mismatch` unless the document has this incarnation. */
  readonly incarnation?: string | undefined
}

export interface Append extends HeadCondition {
  readonly documentId: string
  /** At least one. */
  readonly entries: readonly NewEntry[]
}

export type AppendResult =
  | { readonly ok: true; readonly first: Revision; readonly last: Revision; readonly incarnation: string }
  | { readonly ok: false; readonly error: PolyphonyError }

export interface StoreCapabilities {
  readonly name: string
  /** Whether an append that settled is still there after each of these. */
  readonly survives: { readonly processKill: boolean; readonly powerCut: boolean; readonly failover: boolean }
  /** Whether other processes see the same documents, and `subscribe` exists. */
  readonly shared: boolean
}

export interface ReadRange {
  /**
   * The reader has everything up to this revision and wants what follows. Absent: the reader has nothing and wants the
   * state in the cheapest form, which is the newest checkpoint, if there is one, and the entries above it.
   */
  readonly after?: Revision | undefined
  /** Nothing above this revision; absent: up to the head. */
  readonly upTo?: Revision | undefined
}

export interface ListQuery {
  readonly prefix?: string | undefined
  /** Ids above this one: the last id of the page before. */
  readonly after?: string | undefined
  /** At most so many; absent: all. */
  readonly limit?: number | undefined
  /** Also list tombstones. Default false. */
  readonly deleted?: boolean | undefined
}

export interface SubscribeOptions {
  /** Refuses with `incarnation-mismatch` unless the document has this incarnation. */
  readonly incarnation?: string | undefined
  /**
   * Called once when the entries cannot go on without a gap; nothing arrives after it. `document-deleted`,
   * `incarnation-mismatch` (created again, restored, tail lost), `revision-expired` or `store-closed`.
   */
  readonly ended?: ((reason: PolyphonyError) => void) | undefined
}

/** Hears consecutive entries. They all are of one incarnation, which stays the same for a subscription. */
export type LogListener = (entries: readonly LogEntry[], incarnation: string) => void

export type Unsubscribe = () => Promise<void>

/**
 * An append-only log per document. Every method rejects with a `PolyphonyError`: after `close` with `store-closed`, for
 * an id that `parseDocumentId` refuses with `invalid-document-id` (`append` says so in the document's result); misuse
 * by the programmer is a `TypeError`. Byte arrays handed in may be reused by the caller once the promise settles; arrays
 * handed out are the caller's.
 */
export interface DocumentStore {
  /**
   * A document appears at most once per batch; its entries get consecutive revisions, all or none of them; documents
   * succeed or fail each by itself. Settles only once durable as far as `capabilities` says. A document that does not
   * exist comes into being (with a new incarnation); a deleted one fails with `document-deleted`.
   * Rejects as a whole only when the outcome of every document is unknown (`store-failed`) or for misuse (`TypeError`).
   * A result that is not ok with a code other than `store-failed` means that nothing of this document was written.
   * Concurrent calls for one document are written in any order.
   */
  append(batch: readonly Append[]): Promise<readonly AppendResult[]>

  /**
   * If all entries above `after` are retained: those entries. Otherwise one checkpoint newer than `after`, then the
   * entries above it. Ordered, gapless, streaming; what was committed before the first item was asked for is in it, what
   * is committed later may be. Nothing for a document that does not exist or is deleted. `upTo` below what is retained:
   * `revision-expired`. Corrupt bytes: `store-corrupt`, naming document and revision. A read whose document is deleted
   * or trimmed under way either finishes as it began or rejects; it never leaves anything out.
   */
  read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry>

  /**
   * Keeps the newest checkpoint; an older or equal one is ignored. Entries that it covers become removable under the
   * retention policy, never those above it; they are removed some time after the call settles. Settles once durable. If
   * `state` throws, that error is passed on and the checkpoint before stays. `document-not-found`, `document-deleted`;
   * `precondition-failed` for a revision above the head.
   */
  checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void>

  /** `undefined` for a document that never existed. */
  head(documentId: string): Promise<Head | undefined>

  /** In order of the UTF-8 bytes of the id. */
  list(query?: ListQuery): AsyncIterable<DocumentInfo>

  /** Creates an empty document, also in place of a tombstone; `document-exists` when it is alive. */
  create(documentId: string): Promise<Head>

  /**
   * Removes log and checkpoint, leaves a tombstone. Deleting what is deleted, or never was, is a no-op. A condition is
   * held against the head in the same step; a tombstone's head is that of what was deleted, so that asking again for a
   * deletion whose outcome is unknown is harmless, too.
   */
  delete(documentId: string, condition?: HeadCondition): Promise<void>

  /**
   * Only on shared stores: entries above `after` that any node commits (own ones included), in order, without gaps or
   * repeats, those that exist already first. The document need not exist yet. `revision-expired` when entries above
   * `after` are no longer retained. The listener is also told the incarnation that they are of. After the returned
   * function settles, it is not called again.
   */
  subscribe?(
    documentId: string,
    after: Revision,
    listener: LogListener,
    options?: SubscribeOptions,
  ): Promise<Unsubscribe>

  readonly capabilities: StoreCapabilities

  /** Settles what is under way, then releases everything. Closing twice is harmless. */
  close(): Promise<void>
}

/** Tells the two kinds of items of `read` apart. */
export function isCheckpoint(item: Checkpoint | LogEntry): item is Checkpoint {
  return 'state' in item
}

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

/** The state of a document up to and including `revision`, as one Yjs update in chunks. */
export interface Checkpoint {
  readonly revision: Revision
  readonly stateVector: Uint8Array
  readonly state: AsyncIterable<Uint8Array>
}

export interface Head {
  /** Random; new whenever the continuity of the log breaks (created again, restored, tail lost). */
  readonly incarnation: string
  readonly revision: Revision
  /** Bytes of the newest checkpoint plus the log above it. */
  readonly bytes: number
  /** Set while the document is deleted. */
  readonly tombstone?: { readonly deletedAtMs: number } | undefined
}

export interface DocumentInfo extends Head {
  readonly documentId: string
}

export interface Append {
  readonly documentId: string
  /** At least one. */
  readonly entries: readonly NewEntry[]
  /** Compare-and-set: fails with `precondition-failed` unless the head is at this revision. */
  readonly expect?: Revision | undefined
  /** Fails with `incarnation-mismatch` unless the document has this incarnation. */
  readonly incarnation?: string | undefined
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
  /** Entries above this revision; 0 or absent: everything. */
  readonly after?: Revision | undefined
  readonly upTo?: Revision | undefined
}

export interface ListQuery {
  readonly prefix?: string | undefined
  readonly after?: string | undefined
  readonly limit?: number | undefined
  /** Also list tombstones. Default false. */
  readonly deleted?: boolean | undefined
}

export type Unsubscribe = () => Promise<void>

/**
 * An append-only log per document. Every method rejects with a `PolyphonyError`; after `close`, with `store-closed`.
 * Byte arrays handed in may be reused by the caller once the promise settles; arrays handed out are the caller's.
 */
export interface DocumentStore {
  /**
   * A document appears at most once per batch; its entries get consecutive revisions, all or none of them; documents
   * succeed or fail each by itself. Settles only once durable as far as `capabilities` says. A document that does not
   * exist comes into being (with a new incarnation); a deleted one fails with `document-deleted`.
   * Rejects as a whole only when the outcome of every document is unknown (`store-failed`) or for misuse (`TypeError`).
   */
  append(batch: readonly Append[]): Promise<readonly AppendResult[]>

  /**
   * If all entries above `after` are retained: those entries. Otherwise one checkpoint newer than `after`, then the
   * entries above it. Ordered, gapless, streaming. Nothing for a document that does not exist. `upTo` below what is
   * retained: `revision-expired`. Corrupt bytes: `store-corrupt`, naming document and revision.
   */
  read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry>

  /**
   * Keeps the newest checkpoint; an older or equal one is ignored. Entries that it covers become removable under the
   * retention policy, never those above it. Settles once durable.
   */
  checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void>

  /** `undefined` for a document that never existed. */
  head(documentId: string): Promise<Head | undefined>

  /** In order of the UTF-8 bytes of the id. */
  list(query?: ListQuery): AsyncIterable<DocumentInfo>

  /** Creates an empty document, also in place of a tombstone; `document-exists` when it is alive. */
  create(documentId: string): Promise<Head>

  /** Removes log and checkpoint, leaves a tombstone. Deleting what is deleted, or never was, is a no-op. */
  delete(documentId: string): Promise<void>

  /** Only on shared stores: entries that any node commits (own ones included), in order, without gaps. */
  subscribe?(
    documentId: string,
    after: Revision,
    listener: (entries: readonly LogEntry[]) => void,
  ): Promise<Unsubscribe>

  readonly capabilities: StoreCapabilities

  /** Settles what is under way, then releases everything. Closing twice is harmless. */
  close(): Promise<void>
}

/** How long covered entries stay readable after a checkpoint. All three bounds hold; 0 keeps none. */
export interface RetentionPolicy {
  readonly entries: number
  readonly bytes: number
  readonly ageMs: number
}

export function isCheckpoint(item: Checkpoint | LogEntry): item is Checkpoint {
  return 'state' in item
}

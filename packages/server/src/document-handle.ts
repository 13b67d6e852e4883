import type { PolyphonyError } from '@polyphony/core'
import type { DocumentInfo, HeadCondition, ListQuery, Revision } from '@polyphony/storage'
import type { JsonView } from '@polyphony/translator'
import type { HistoryPage, HistoryQuery } from './document-history.ts'

/** Who did something, as it is written into the log. */
export interface Authorship {
  readonly author: string
  readonly runId?: string | undefined
  readonly idempotencyKey?: string | undefined
}

export interface EditOutcome<T> {
  /** What `plan` returned; absent when an earlier write with the same idempotency key was found instead. */
  readonly result?: T | undefined
  /** Where the edit stands in the log; the newest applied revision when the plan changed nothing. */
  readonly revision: Revision
  readonly changed: boolean
  /** Whether an earlier write with the same idempotency key answered for this one. */
  readonly replayed: boolean
}

export interface EditOptions {
  /**
   * The edit stands in the log directly above the state that it was planned on, whoever else writes, or has failed with
   * `precondition-failed`. An edit that changes nothing is not held to it.
   */
  readonly exact?: boolean | undefined
}

/**
 * An open document as the faces (REST, events, AG-UI) see it. It stays open until `release`; a face that keeps one
 * must listen to `onClose`, after which every call rejects with the same error.
 */
export interface DocumentHandle {
  readonly documentId: string
  readonly incarnation: string
  /** Newest revision that is committed and applied; 0 when nothing was written yet. */
  readonly revision: Revision
  /** Whether edits wait to be stored, so that the next edit will not directly follow `revision`. */
  readonly hasQueued: boolean
  /**
   * Runs between batches, synchronously, on a view that shows exactly the committed state. Must not write or await; only a
   * cursor of the view may be used afterwards.
   */
  read<T>(task: (view: JsonView) => T): Promise<T>
  /**
   * Plans a server-made edit: `plan` is called on the view of the newest committed state, and may write through it
   * (`view.apply`, `view.assign`). Resolves once committed and applied. When `plan` throws, nothing has changed and the
   * error is passed on. On a store that other nodes write too, it is called again in the rare case that what it planned
   * was thrown away. Store failures: `outcome-unknown`, `store-failed`, `overloaded`.
   */
  edit<T>(authorship: Authorship, plan: (view: JsonView) => T, options?: EditOptions): Promise<EditOutcome<T>>
  /** Commits a Yjs update (v1) as it came in. Resolves once committed, also when it adds nothing. */
  submit(authorship: Authorship, update: Uint8Array): Promise<{ readonly revision: Revision }>
  /** The whole committed state as Yjs updates (v1) to be applied in order, or what a state vector lacks. */
  encode(stateVector?: Uint8Array): Promise<readonly Uint8Array[]>
  /** Called after newly committed entries have been applied, once per batch. */
  onAdvance(listener: () => void): () => void
  /** Called once when the document closes under its readers: deleted, store given up, server shutting down. */
  onClose(listener: (error: PolyphonyError) => void): () => void
  release(): void
}

/** The documents of one node. */
export interface Documents {
  /**
   * Opens a document for a face. One that does not exist is opened empty and comes into being with its first write,
   * unless `mustExist` (then: `document-not-found`). A deleted one: `document-deleted`.
   */
  open(documentId: string, options?: { readonly mustExist?: boolean }): Promise<DocumentHandle>
  create(documentId: string): Promise<DocumentInfo>
  /**
   * Deletes it, closes everybody's sessions with `document-deleted`, and leaves a tombstone. With a condition, in one step
   * with looking at the head: `precondition-failed` or `incarnation-mismatch` when it is another.
   */
  delete(documentId: string, condition?: HeadCondition): Promise<void>
  list(query?: ListQuery): AsyncIterable<DocumentInfo>
  /** Who changed a document when; see `readHistory`. */
  history(documentId: string, query: HistoryQuery): Promise<HistoryPage>
}

import type { PolyphonyError } from '@polyphony/core'
import type { LogEntry, Revision } from './document-store.ts'
import type { LogPosition } from './log-position.ts'

/** Asks for what follows in a document's log. */
export interface TailRequest {
  readonly documentId: string
  readonly after: Revision
  /** Nothing above it; absent: up to the head. */
  readonly upTo?: Revision | undefined
  /** What the reader has seen already, to be checked; absent while it has seen nothing. */
  readonly seen?: LogPosition | undefined
}

/**
 * - `absent`: there is no such document.
 * - `deleted`: there is a tombstone.
 * - `broken`: the log is not the one that the reader has seen: it lost its tail, whatever it has there now.
 * - `open`: everything else, the incarnation being another one included.
 */
export type LogTail =
  | { readonly state: 'absent' }
  | { readonly state: 'deleted' }
  | { readonly state: 'broken'; readonly incarnation: string }
  | {
      readonly state: 'open'
      readonly incarnation: string
      /** The head. */
      readonly revision: Revision
      /** The oldest entry that is retained, or would be if there were one. */
      readonly first: Revision
      /** The incarnation before, if the log has lost its tail in it and so became this one. */
      readonly continues?: string | undefined
      /** Entries from the one after `after` on, or from `first` if that is later; not always up to the head. */
      readonly entries: readonly LogEntry[]
      /** The mark of the last of `entries`. */
      readonly mark?: string | undefined
    }

/** What a `LogFollower` needs of a store. */
export interface TailSource {
  /** Reads what follows, for several documents in one round trip; one result per request, in order. */
  readTails(requests: readonly TailRequest[]): Promise<readonly (LogTail | PolyphonyError)[]>
  /** Gives a document whose log is broken a new incarnation, unless somebody else has done so. */
  renew(documentId: string, incarnation: string): Promise<void>
}

import type { PolyphonyError } from '@polyphony/core'
import * as encoding from 'lib0/encoding'
import type { Authorship } from './document-handle.ts'
import type { CommittedEntry } from './document-log.ts'

/** A committed entry on its way to the sessions of a room; what it looks like on the wire is encoded once. */
export interface DeliveredEntry extends CommittedEntry {
  /** y-protocols sync message: 0 (sync), 2 (update), varUint8Array. */
  readonly syncMessage: Uint8Array
}

/** One connection's side of a room. Every call returns at once; a session that cannot keep up closes itself. */
export interface RoomSession {
  readonly authorship: Authorship
  /** A committed entry, also to the session that it came from: there it is the acknowledgement. */
  deliver(entry: DeliveredEntry): void
  /** An update of this session is durable that is not delivered as it came in: it was known, or known in part. */
  acknowledge(update: Uint8Array): void
  deliverAwareness(message: Uint8Array): void
  /** The room holds an update of this session until it has what the update builds on; ask for that. */
  requestSync(): void
  close(error: PolyphonyError): void
}

export function deliveredEntry(entry: CommittedEntry): DeliveredEntry {
  return { ...entry, syncMessage: encodeSyncUpdate(entry.update) }
}

/** y-protocols: message type 0 (sync), sync type 2 (update), varUint8Array. */
export function encodeSyncUpdate(update: Uint8Array): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, 0)
  encoding.writeVarUint(encoder, 2)
  encoding.writeVarUint8Array(encoder, update)
  return encoding.toUint8Array(encoder)
}

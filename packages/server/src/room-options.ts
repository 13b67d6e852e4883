import type { Clock, Limits, Logger, PolyphonyError, Random, Telemetry, Turns } from '@polyphony/core'
import type { DocumentStore, EntryMeta } from '@polyphony/storage'
import type { JsonViewOptions } from '@polyphony/translator'
import type { Committer } from './committer.ts'
import type { ResidentStates } from './resident-states.ts'

export interface RoomOptions {
  readonly documentId: string
  readonly committer: Committer
  readonly clock: Clock
  /** For what takes long: loading a large document, making its replica. */
  readonly turns: Turns
  readonly random: Random
  readonly limits: Limits
  readonly logger: Logger
  readonly telemetry: Telemetry
  /** Only for reading the checkpoint again. */
  readonly store: DocumentStore
  readonly residents: ResidentStates
  readonly projection: JsonViewOptions
  /** Whether other nodes write to the log too: then nothing is applied but what `receiveCommitted` brings. */
  readonly isShared: boolean
  /** Sends presence that was announced here to other nodes. */
  readonly relayAwareness?: ((message: Uint8Array) => void) | undefined
  /** The Yjs client id of this process in one life of the document, asked for whenever a replica is made. */
  readonly clientId: (incarnation: string | undefined) => number
  /** Asks for fresh client ids for the whole process, after an edit whose fate is unknown. */
  readonly renewClientId: () => void
  /** Called when the room has become useless: its log was ended by somebody else, or it is not sure of its state. */
  readonly onBroken: (error: PolyphonyError) => void
  /** Called after each commit, for checkpoints and for whoever counts bytes. */
  readonly onCommitted: () => void
}

/** What a room starts from. */
export interface RoomState {
  readonly incarnation: string | undefined
  /** The newest checkpoint, as updates to be applied in order. Emptied by the room that takes them over. */
  readonly base: Uint8Array[]
  readonly baseRevision: number
  readonly tail: readonly {
    readonly revision: number
    readonly update: Uint8Array
    readonly meta: EntryMeta
  }[]
  /** Idempotency keys of the newest entries that the checkpoint covers. */
  readonly keys: readonly { readonly key: string; readonly revision: number }[]
}

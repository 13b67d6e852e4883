import type { Clock, Logger, PolyphonyError, Random } from '@polyphony/core'
import type { JsonViewOptions } from '@polyphony/translator'
import type * as Y from 'yjs'
import type { LocalPlace } from './local-place.ts'
import type { TokenSource } from './server-connection.ts'

/** What `openDocument` makes of its options. */
export interface DocumentSettings {
  readonly url: string
  readonly documentId: string
  readonly token: TokenSource | undefined
  readonly doc: Y.Doc
  readonly ownsDoc: boolean
  readonly view: JsonViewOptions
  readonly place: LocalPlace | undefined
  /** Why there is no place, where one was wanted. */
  readonly placeError: PolyphonyError | undefined
  readonly connect: boolean
  readonly openWebSocket: () => Promise<typeof globalThis.WebSocket>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly checkpointEntries?: number | undefined
  readonly checkpointBytes?: number | undefined
}

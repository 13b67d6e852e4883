import {
  PolyphonyError,
  parseDocumentId,
  silentLogger,
  systemClock,
  systemRandom,
  type Clock,
  type Logger,
  type Random,
} from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import type { JsonValue, JsonViewOptions } from '@polyphony/translator'
import * as Y from 'yjs'
import { PolyphonyDocument } from './document.ts'
import { browserPlace, storePlace, type LocalPlace } from './local-place.ts'
import { socketAddress, type TokenSource } from './server-connection.ts'
import { browserTabs, type TabPlatform } from './tabs.ts'

export interface OpenDocumentOptions {
  /** The server's address, `http…` or `ws…`; the sync face is found below it. */
  readonly url: string
  readonly documentId: string
  /** A token, or a function that gets one; it is called before every attempt to connect, so it may refresh. */
  readonly token?: TokenSource | undefined
  /**
   * Whom the local copy belongs to: the user's id. Nobody else's session opens it. Must be given where a token is and
   * something is kept.
   */
  readonly principal?: string | undefined
  /**
   * Where the document is kept on this machine:
   * - `browser`, the default in browsers: IndexedDB, shared by the tabs of the origin.
   * - `memory`, the default elsewhere: nowhere.
   * - a store, such as `openLevelStore(directory)` gives: for Node. The application closes it, after the document.
   */
  readonly store?: 'browser' | 'memory' | DocumentStore | undefined
  /** How the JSON is laid out: mounts and the like, as in the server's configuration. */
  readonly view?: JsonViewOptions | undefined
  /** A `Y.Doc` of the application's own, which then stays open after `close`. */
  readonly doc?: Y.Doc | undefined
  /** `false`: stays offline until `connect` is called. Default true. */
  readonly connect?: boolean | undefined
  /** Default: the platform's; the package `ws` where there is none (Node 20). */
  readonly WebSocket?: typeof globalThis.WebSocket | undefined
  /** Hears of trouble with the local store. */
  readonly logger?: Logger | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** How tabs find each other. Default: Web Locks and BroadcastChannel, in browsers. */
  readonly tabs?: TabPlatform | undefined
  /** The local log is made into a checkpoint after so many entries, or bytes. Default 500, 1 MB. */
  readonly checkpointEntries?: number | undefined
  readonly checkpointBytes?: number | undefined
}

/**
 * Opens a document: at once what is kept on this machine, then what the server has, as soon as it can be reached. Throws
 * `invalid-request` for an address and `invalid-document-id` for a name that cannot be; whatever goes wrong later stands
 * in `status`.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the application says what its state looks like
export function openDocument<T = JsonValue>(options: OpenDocumentOptions): PolyphonyDocument<T> {
  const documentId = parseDocumentId(options.documentId)
  const local = findPlace(options)
  return new PolyphonyDocument<T>({
    url: options.url,
    documentId,
    token: options.token,
    doc: options.doc ?? new Y.Doc(),
    ownsDoc: options.doc === undefined,
    view: options.view ?? {},
    place: local instanceof PolyphonyError ? undefined : local,
    placeError: local instanceof PolyphonyError ? local : undefined,
    connect: options.connect ?? true,
    openWebSocket: () => findWebSocket(options.WebSocket),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    logger: options.logger ?? silentLogger,
    checkpointEntries: options.checkpointEntries,
    checkpointBytes: options.checkpointBytes,
  })
}

function findPlace(options: OpenDocumentOptions): LocalPlace | PolyphonyError | undefined {
  const address = socketAddress(options.url)
  const { documentId, token, principal, store = defaultStore() } = options
  if (store === 'memory') return undefined
  if (token !== undefined && principal === undefined)
    throw new TypeError(
      'With a token, say whom the local copy belongs to (`principal`), or keep none (`store: "memory"`).',
    )
  const identity = { principal: principal ?? '', address, documentId }
  if (typeof store === 'object') return storePlace(identity, store, options.tabs)
  const tabs = options.tabs ?? browserTabs()
  if (tabs === undefined || typeof indexedDB === 'undefined')
    return new PolyphonyError(
      'store-failed',
      'This page cannot keep documents: it needs IndexedDB and Web Locks, which exist only on https and localhost.',
      { documentId },
    )
  return browserPlace(identity, tabs)
}

function defaultStore(): 'browser' | 'memory' {
  return typeof window !== 'undefined' && typeof document !== 'undefined' ? 'browser' : 'memory'
}

async function findWebSocket(
  given: typeof globalThis.WebSocket | undefined,
): Promise<typeof globalThis.WebSocket> {
  if (given !== undefined) return given
  if (typeof globalThis.WebSocket === 'function') return globalThis.WebSocket
  const { WebSocket } = await import('ws')
  // The same interface, as far as the provider uses it.
  return WebSocket as unknown as typeof globalThis.WebSocket
}

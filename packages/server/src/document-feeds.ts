import {
  defaultFeedOptions,
  MessageFeed,
  SnapshotMemory,
  StateFeed,
  type FeedOptions,
  type FeedParts,
  type FeedTarget,
  type Message,
  type MessageSubscription,
} from '@polyphony/ag-ui'
import {
  Turns,
  type Clock,
  type Limits,
  type Logger,
  type PolyphonyError,
  type Telemetry,
} from '@polyphony/core'
import type { DocumentHandle, Documents } from './document-handle.ts'
import { SilentRuns } from './silent-runs.ts'
import { formatVersion, parseVersion } from './version-token.ts'

export interface DocumentFeedsOptions {
  readonly documents: Documents
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly logger: Logger
  readonly limits: Limits
  readonly feed: Partial<FeedOptions>
}

export interface WatchRequest {
  readonly documentId: string
  /** The part of the document to watch; '' for all. */
  readonly pointer: string
  /** Whether the reader understands splices of texts. Default: no. */
  readonly splices?: boolean | undefined
  /** Token of the version that the reader holds. Malformed: `invalid-token`; unknown here: it gets a snapshot. */
  readonly since: string | undefined
  /** The messages that the reader has, when it wants to see those of the document. Absent: it does not. */
  readonly messages?: readonly Message[] | undefined
}

interface OpenDocument {
  readonly opening: Promise<WatchedDocument>
  users: number
}

/** What readers have in common that share a feed. */
type FeedView = Pick<WatchRequest, 'pointer' | 'splices'>

const keyOf = ({ pointer, splices = false }: FeedView): string => `${splices ? 'splices' : ''} ${pointer}`

/** What all feeds of a node share. */
type SharedParts = Required<Pick<FeedParts, 'turns' | 'memory'>>

/** All feeds of this node: readers of one view of one document share one `StateFeed`. */
export class DocumentFeeds {
  readonly #options: DocumentFeedsOptions
  readonly #shared: SharedParts
  readonly #open = new Map<string, OpenDocument>()

  constructor(options: DocumentFeedsOptions) {
    this.#options = options
    this.#shared = {
      turns: new Turns(options.clock),
      memory: new SnapshotMemory(options.limits.snapshotMemoryBytesMax),
    }
  }

  /** Starts a feed. The document is open until the subscription is closed. Rejects with what opening rejects with. */
  async watch(request: WatchRequest, target: FeedTarget): Promise<MessageSubscription> {
    const { documentId, since } = request
    const open = this.#enter(documentId)
    let left = false
    const leave = (): void => {
      if (!left) this.#leave(documentId, open)
      left = true
    }
    try {
      const document = await open.opening
      const held = since === undefined ? undefined : parseVersion(since, document.handle)
      const state = document.feed(request).subscribe(target, held === 'unknown' ? undefined : held)
      const messages =
        request.messages === undefined ? undefined : document.messages.subscribe(target, request.messages)
      return {
        flush: async () => {
          await state.flush()
          await messages?.flush()
        },
        finish: async () => {
          await state.flush()
          await messages?.finish()
        },
        drained: () => {
          state.drained()
          messages?.drained()
        },
        close: () => {
          messages?.close()
          state.close()
          document.tidy(request)
          leave()
        },
      }
    } catch (error) {
      leave()
      throw error
    }
  }

  #enter(documentId: string): OpenDocument {
    const known = this.#open.get(documentId)
    if (known !== undefined) {
      known.users += 1
      return known
    }
    const opening = this.#options.documents.open(documentId).then((handle) => {
      const document = new WatchedDocument(handle, this.#options, this.#shared)
      handle.onClose((error) => {
        // Whoever comes next opens the document anew, or learns why it cannot.
        if (this.#open.get(documentId) === open) this.#open.delete(documentId)
        document.fail(error)
      })
      return document
    })
    const open: OpenDocument = { opening, users: 1 }
    this.#open.set(documentId, open)
    return open
  }

  #leave(documentId: string, open: OpenDocument): void {
    open.users -= 1
    if (open.users > 0) return
    if (this.#open.get(documentId) === open) this.#open.delete(documentId)
    // A document that could not be opened has nothing to release; those who asked for it have the error.
    open.opening.then(
      (document) => document.release(),
      () => undefined,
    )
  }
}

/** An open document and its feeds by view. */
class WatchedDocument {
  readonly handle: DocumentHandle
  readonly #options: DocumentFeedsOptions
  readonly #shared: SharedParts
  readonly #feeds = new Map<string, StateFeed>()
  readonly messages: MessageFeed
  readonly #silentRuns: SilentRuns

  constructor(handle: DocumentHandle, options: DocumentFeedsOptions, shared: SharedParts) {
    this.handle = handle
    this.#shared = shared
    this.#options = options
    const { clock, telemetry, logger, feed } = options
    const { pace, frameBytesMax } = { ...defaultFeedOptions, ...feed }
    this.messages = new MessageFeed(
      { read: (task) => handle.read(task) },
      { clock, telemetry, pace, frameBytesMax },
    )
    this.#silentRuns = new SilentRuns({ handle, clock, logger, runSilentMs: options.limits.runSilentMs })
    handle.onAdvance(() => {
      for (const feed of this.#feeds.values()) feed.changed()
      this.messages.changed()
    })
  }

  feed(request: FeedView): StateFeed {
    const key = keyOf(request)
    const known = this.#feeds.get(key)
    if (known !== undefined) return known
    const { handle } = this
    const { clock, telemetry, feed: options } = this.#options
    const feed = new StateFeed(
      {
        documentId: handle.documentId,
        read: (task) => handle.read(task),
        formatVersion: (version) => formatVersion(version, handle.incarnation),
      },
      { ...this.#shared, clock, telemetry, pointer: request.pointer, splices: request.splices, options },
    )
    this.#feeds.set(key, feed)
    return feed
  }

  /** Forgets a view that nobody reads. */
  tidy(request: FeedView): void {
    const key = keyOf(request)
    if (this.#feeds.get(key)?.readerCount === 0) this.#feeds.delete(key)
  }

  fail(error: PolyphonyError): void {
    this.#silentRuns.stop()
    this.messages.close()
    for (const feed of this.#feeds.values()) feed.fail(error)
  }

  release(): void {
    this.#silentRuns.stop()
    this.handle.release()
  }
}

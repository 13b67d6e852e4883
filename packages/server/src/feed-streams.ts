import type { FeedTarget, MessageSubscription } from '@polyphony/ag-ui'
import { PolyphonyError, type Clock, type Limits, type Telemetry } from '@polyphony/core'
import { tokenExpired } from './authorization.ts'
import type { ConnectionCounter } from './connection-counter.ts'
import { negotiateEncoding } from './content-encoding.ts'
import type { DocumentFeeds, WatchRequest } from './document-feeds.ts'
import { FeedAnswer } from './feed-answer.ts'
import { sseFormat, type FeedFormat } from './feed-format.ts'
import type { FeedCarrier, FeedOutlet } from './feed-outlet.ts'
import type { Exchange } from './request-handler.ts'

export interface FeedStreamsOptions {
  readonly feeds: DocumentFeeds
  readonly connections: ConnectionCounter
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: Limits
  /** A comment goes out after this much silence. */
  readonly keepAliveMs: number
}

/** What a feed's answer consists of besides the state events. */
export interface FeedStream extends WatchRequest {
  readonly face: 'events' | 'ag-ui' | 'ag-ui-websocket'
  /** Stay for what comes, or end once the state has been sent. */
  readonly stays: boolean
  /** Default: `text/event-stream`. */
  readonly format?: FeedFormat | undefined
  /** Frames before the first state event. */
  readonly prelude: readonly Uint8Array[]
  /** The frame that ends the answer properly; absent: just the end. */
  readonly ending: Uint8Array | undefined
  /** The frame that ends the answer with an error. */
  readonly failing: (error: PolyphonyError) => Uint8Array
  /** Something that goes on beside the feed and decides when the answer ends, and with which frame. */
  readonly follow?:
    | ((stream: FollowedStream) => Promise<{ readonly frame: Uint8Array; readonly isError: boolean }>)
    | undefined
}

/** The answer to whom something is told beside the feed. */
export interface FollowedStream {
  /** Sends everything that is committed by now. */
  flush(): Promise<void>
  write(frame: Uint8Array): void
}

/** Answers requests with feeds, and ends them all when the server stops. */
export class FeedStreams {
  readonly #options: FeedStreamsOptions
  readonly #stops = new Set<(error: PolyphonyError) => void>()
  #stoppedBy: PolyphonyError | undefined

  constructor(options: FeedStreamsOptions) {
    this.#options = options
  }

  /** Answers a request with a feed; see `carry`. */
  run(exchange: Exchange, feed: FeedStream): Promise<void> {
    const { response, principal } = exchange
    return this.carry(
      {
        principal,
        over: new Promise((resolve) => response.once('close', resolve)),
        isGone: () => response.destroyed,
        open: (onDrain) => this.#open(exchange, feed, onDrain),
      },
      feed,
    )
  }

  /** Feeds a reader and resolves when it is over. What goes wrong before the first byte is thrown; later it ends the feed. */
  async carry({ principal, over, isGone, open }: FeedCarrier, feed: FeedStream): Promise<void> {
    const { feeds, connections, clock, limits } = this.#options
    if (this.#stoppedBy !== undefined) throw this.#stoppedBy
    const release = connections.acquire(feed.documentId)
    let subscription: MessageSubscription | undefined
    let stream: FeedOutlet | undefined
    let failure: PolyphonyError | undefined
    let toldAtMs = clock.now()
    const start = (): FeedOutlet => {
      if (stream !== undefined) return stream
      stream = open(() => subscription?.drained())
      for (const frame of feed.prelude) stream.write(frame)
      return stream
    }
    const target: FeedTarget = {
      write: ({ bytes }) => {
        toldAtMs = clock.now()
        return start().write(bytes)
      },
      fail: (error) => {
        failure = error
        stream?.end(feed.failing(error))
      },
    }
    const stop = (error: PolyphonyError): void => (stream === undefined ? undefined : target.fail(error))
    let cancelIdle = (): void => undefined
    const cancels: (() => void)[] = [() => cancelIdle()]
    this.#stops.add(stop)
    try {
      const opened = await feeds.watch(feed, target)
      subscription = opened
      const closed = over.then(() => opened.close())
      await opened.flush()
      if (failure !== undefined && stream === undefined) throw failure
      if (isGone()) return
      const started = start()
      const finish = async (): Promise<void> => {
        await opened.finish()
        started.end(feed.ending)
      }
      if (feed.stays) {
        const onOld = (): void => (feed.follow === undefined ? void finish() : target.fail(tooOld()))
        cancels.push(clock.after(limits.feedLifetimeMs, onOld))
        void feed
          .follow?.({ flush: () => opened.flush(), write: (frame) => void started.write(frame) })
          .then(async ({ frame, isError }) => {
            await (isError ? opened.flush() : opened.finish())
            started.end(frame)
          })
        const awaitIdle = (ms: number): void => {
          cancelIdle = clock.after(ms, () => {
            const leftMs = toldAtMs + limits.feedIdleMs - clock.now()
            if (leftMs > 0) awaitIdle(leftMs)
            else void finish()
          })
        }
        if (feed.follow === undefined) awaitIdle(limits.feedIdleMs)
        if (principal.expiresAtMs !== undefined) {
          const leftMs = Math.min(Math.max(0, principal.expiresAtMs - clock.now()), timerMsMax)
          cancels.push(clock.after(leftMs, () => target.fail(tokenExpired())))
        }
        await closed
      } else {
        await finish()
      }
    } finally {
      for (const cancel of cancels) cancel()
      this.#stops.delete(stop)
      subscription?.close()
      release()
    }
  }

  /** Ends every feed with an error that asks to come back. */
  stop(): void {
    const error = new PolyphonyError('shutting-down', 'The server is shutting down; come back in a moment.')
    this.#stoppedBy = error
    for (const stop of this.#stops) stop(error)
  }

  #open({ request, response }: Exchange, feed: FeedStream, onDrain: () => void): FeedAnswer {
    const { clock, telemetry, limits, keepAliveMs } = this.#options
    return new FeedAnswer({
      response,
      format: feed.format ?? sseFormat,
      // Blocks that are compressed once for all readers exist for gzip only, so it comes first.
      encoding: negotiateEncoding(request.headers['accept-encoding'], ['gzip', 'br']),
      clock,
      telemetry,
      face: feed.face,
      keepAliveMs,
      stallMs: limits.feedStallMs,
      onDrain,
    })
  }
}

/** A timer takes no more; a feed does not last that long either. */
const timerMsMax = 2 ** 31 - 1

function tooOld(): PolyphonyError {
  return new PolyphonyError('shutting-down', 'The answer has lasted long enough; what it is about goes on.')
}

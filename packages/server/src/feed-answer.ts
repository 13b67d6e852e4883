import type { ServerResponse } from 'node:http'
import { constants, createBrotliCompress, type BrotliCompress } from 'node:zlib'
import type { Clock, Telemetry } from '@polyphony/core'
import type { ContentEncoding } from './content-encoding.ts'
import type { FeedFormat } from './feed-format.ts'
import type { FeedOutlet } from './feed-outlet.ts'
import { deflateBlocks, gzipHead, GzipTail } from './gzip-blocks.ts'

export interface FeedAnswerOptions {
  readonly response: ServerResponse
  readonly format: FeedFormat
  readonly encoding: ContentEncoding | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly face: 'events' | 'ag-ui' | 'ag-ui-websocket'
  readonly keepAliveMs: number
  /** A reader that takes nothing for this long is cut off. */
  readonly stallMs: number
  /** The reader takes frames again. */
  readonly onDrain: () => void
}

/** One answer with a feed, with or without compression; every frame is flushed. */
export class FeedAnswer implements FeedOutlet {
  readonly #options: FeedAnswerOptions
  readonly #output: Output
  #blocked = false
  #ended = false
  #wroteAtMs: number
  #cancelTick: () => void = () => undefined

  constructor(options: FeedAnswerOptions) {
    this.#options = options
    const { response, format, encoding, clock } = options
    this.#ended = response.destroyed
    response.writeHead(200, {
      'content-type': format.contentType,
      'cache-control': 'no-cache, no-transform',
      // Nginx holds answers back otherwise.
      'x-accel-buffering': 'no',
      ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
    })
    response.flushHeaders()
    response.once('close', () => this.#close())
    response.on('drain', () => this.#drained())
    const onReady = (): void => this.#drained()
    this.#output =
      encoding === undefined
        ? new PlainOutput(response)
        : encoding === 'gzip'
          ? new GzipOutput(response, onReady)
          : new BrotliOutput(response, onReady)
    this.#wroteAtMs = clock.now()
    if (this.#ended) return
    options.telemetry.gauge('polyphony_connections', 1, { face: options.face })
    options.telemetry.count('polyphony_connections_total', 1, { face: options.face })
    this.#tick()
  }

  get isEnded(): boolean {
    return this.#ended
  }

  /** Sends a frame. `false`: send no more until `onDrain`. */
  write(frame: Uint8Array): boolean {
    if (this.#ended) return true
    const { clock, telemetry, face, format } = this.#options
    const piece = format.encode(frame)
    this.#wroteAtMs = clock.now()
    if (piece.byteLength === 0) return !this.#blocked
    telemetry.count('polyphony_sent_bytes_total', piece.byteLength, { face })
    const free = this.#output.write(piece)
    if (!free) this.#setBlocked(true)
    return free
  }

  /** Ends the answer after `frame`. */
  end(frame?: Uint8Array): void {
    if (this.#ended) return
    if (frame !== undefined) this.write(frame)
    this.#output.end()
    this.#close()
  }

  #drained(): void {
    if (!this.#blocked || this.#ended) return
    this.#wroteAtMs = this.#options.clock.now()
    this.#setBlocked(false)
    this.#options.onDrain()
  }

  #setBlocked(blocked: boolean): void {
    if (blocked === this.#blocked) return
    this.#blocked = blocked
    this.#options.telemetry.gauge('polyphony_feed_slow_readers', blocked ? 1 : -1)
  }

  /** Keeps a quiet stream alive, and cuts one whose reader is stuck. */
  #tick(): void {
    const { clock, format, keepAliveMs, stallMs, response } = this.#options
    this.#cancelTick = clock.after(keepAliveMs, () => {
      const quietMs = clock.now() - this.#wroteAtMs
      if (this.#blocked && quietMs >= stallMs) {
        response.destroy()
        return
      }
      if (!this.#blocked && quietMs >= keepAliveMs) this.write(format.keepAlive)
      this.#tick()
    })
  }

  #close(): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelTick()
    this.#setBlocked(false)
    this.#options.telemetry.gauge('polyphony_connections', -1, { face: this.#options.face })
  }
}

interface Output {
  /** `false`: full; the response drains, or `onReady` is called. */
  write(piece: Uint8Array): boolean
  end(): void
}

class PlainOutput implements Output {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  write(piece: Uint8Array): boolean {
    return this.#response.write(piece)
  }

  end(): void {
    this.#response.end()
  }
}

/** Puts together blocks that are compressed once for all readers. */
class GzipOutput implements Output {
  readonly #response: ServerResponse
  readonly #onReady: () => void
  readonly #tail = new GzipTail()
  readonly #queue: (Uint8Array | Promise<Uint8Array>)[] = []
  #isPumping = false
  #isEnded = false

  constructor(response: ServerResponse, onReady: () => void) {
    this.#response = response
    this.#onReady = onReady
    response.write(gzipHead)
  }

  write(piece: Uint8Array): boolean {
    this.#tail.add(piece)
    const blocks = deflateBlocks(piece)
    if (blocks instanceof Uint8Array && !this.#isPumping) return this.#response.write(blocks)
    this.#queue.push(blocks)
    void this.#pump()
    return false
  }

  end(): void {
    this.#isEnded = true
    if (!this.#isPumping) this.#response.end(this.#tail.encode())
  }

  /** Keeps the order while a large piece is being compressed. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return
    this.#isPumping = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#response.write(await next)
      }
    } catch (error) {
      this.#response.destroy(error instanceof Error ? error : undefined)
    }
    this.#isPumping = false
    if (this.#isEnded) this.end()
    else if (!this.#response.writableNeedDrain) this.#onReady()
  }
}

/** For the rare client that takes brotli but not gzip. */
class BrotliOutput implements Output {
  readonly #compressor: BrotliCompress

  constructor(response: ServerResponse, onReady: () => void) {
    this.#compressor = createBrotliCompress({
      params: { [constants.BROTLI_PARAM_QUALITY]: 1, [constants.BROTLI_PARAM_LGWIN]: 16 },
    })
    this.#compressor.pipe(response)
    this.#compressor.on('drain', onReady)
    response.once('close', () => this.#compressor.destroy())
  }

  write(piece: Uint8Array): boolean {
    const free = this.#compressor.write(piece)
    this.#compressor.flush()
    return free
  }

  end(): void {
    this.#compressor.end()
  }
}

import type { Clock, Telemetry } from '@polyphony/core'
import type { WebSocket } from 'ws'
import { eventTexts } from './event-texts.ts'
import type { FeedOutlet } from './feed-outlet.ts'

export interface SocketOutletOptions {
  readonly webSocket: WebSocket
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly face: string
  /** A reader that takes nothing for this long is cut off. */
  readonly stallMs: number
  /** The reader takes frames again. */
  readonly onDrain: () => void
  readonly onEnd: () => void
  readonly onStall: () => void
}

/** Bytes that may wait in the socket before the reader counts as behind. */
const bufferedBytesMax = 256 << 10

/** A feed on a WebSocket: one event per text frame. */
export class SocketOutlet implements FeedOutlet {
  readonly #options: SocketOutletOptions
  #blocked = false
  #ended = false
  #cancelStall: () => void = () => undefined
  readonly #onClose = (): void => this.#close()

  constructor(options: SocketOutletOptions) {
    this.#options = options
    options.webSocket.once('close', this.#onClose)
  }

  write(frame: Uint8Array): boolean {
    const { webSocket, telemetry, face } = this.#options
    if (this.#ended) return true
    for (const text of eventTexts(frame)) {
      telemetry.count('polyphony_sent_bytes_total', text.byteLength, { face })
      webSocket.send(text, { binary: false }, () => this.#sent())
    }
    if (webSocket.bufferedAmount > bufferedBytesMax) this.#setBlocked(true)
    return !this.#blocked
  }

  end(frame?: Uint8Array): void {
    if (this.#ended) return
    if (frame !== undefined) this.write(frame)
    this.#close()
    this.#options.onEnd()
  }

  /** A frame has left the process, or never will. */
  #sent(): void {
    if (!this.#blocked || this.#ended) return
    if (this.#options.webSocket.bufferedAmount > bufferedBytesMax) this.#awaitProgress()
    else {
      this.#setBlocked(false)
      this.#options.onDrain()
    }
  }

  #setBlocked(blocked: boolean): void {
    if (blocked === this.#blocked) return
    this.#blocked = blocked
    this.#options.telemetry.gauge('polyphony_feed_slow_readers', blocked ? 1 : -1)
    if (blocked) this.#awaitProgress()
    else this.#cancelStall()
  }

  #awaitProgress(): void {
    const { clock, stallMs, onStall } = this.#options
    this.#cancelStall()
    this.#cancelStall = clock.after(stallMs, onStall)
  }

  #close(): void {
    this.#ended = true
    // The socket may carry many feeds, one after the other.
    this.#options.webSocket.off('close', this.#onClose)
    this.#setBlocked(false)
  }
}

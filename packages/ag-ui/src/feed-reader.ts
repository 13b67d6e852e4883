import { isPolyphonyError, toPolyphonyError, type PolyphonyError } from '@polyphony/core'
import type { Version } from '@polyphony/translator'
import type { Frame, FrameList } from './frame-list.ts'

/** Where the frames of one reader go. */
export interface FeedTarget {
  /** Takes a frame. `false`: the reader is behind; write no more until it has drained. */
  write(frame: Frame): boolean
  /** The feed cannot go on for this reader; nothing is written after it. */
  fail(error: PolyphonyError): void
}

/** A version and its token, which is what it is compared by. */
export interface HeldVersion {
  readonly version: Version
  readonly token: string
}

/** What a reader is given. */
export interface Delivery {
  readonly kind: Frame['kind']
  readonly frames: FrameList
  readonly leadsTo: HeldVersion
  /** Whether `leadsTo` is the newest version; if not, a delta follows. */
  readonly isNewest: boolean
}

interface Sending extends Delivery {
  next: number
  /** Ends waiting for frames that are being made. */
  readonly stop: () => void
}

/** How often a snapshot is begun anew because its version was no longer retained before it was made. */
const restartsMax = 3

/** What one reader of a feed holds, and what is on its way to it. */
export class FeedReader {
  readonly #target: FeedTarget
  readonly #onSent: () => void
  #sending: Sending | undefined
  #blocked = false
  #closed = false
  #waiters: (() => void)[] = []
  #served: (() => void)[] = []
  #isContinuing = false
  #restarts = 0
  /** What it was last given in full; absent until then. */
  held: HeldVersion | undefined
  /** Token of the newest version that was found to hold nothing new for it. */
  checked: string | undefined
  /** Whether it gets a snapshot next, whatever it holds. */
  needsSnapshot = false
  /** Whether it got deltas since its last snapshot. */
  hadDeltas = false

  /** @param onSent called after a delivery was sent, or has to be replaced by another */
  constructor(target: FeedTarget, held: HeldVersion | undefined, onSent: () => void) {
    this.#target = target
    this.#onSent = onSent
    this.held = held
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Whether it has taken what it was sent. */
  get isReady(): boolean {
    return !this.#closed && !this.#blocked && this.#sending === undefined
  }

  get hasWaiters(): boolean {
    return this.#waiters.length > 0
  }

  /** Calls `waiter` when what the next `prepare` leads to has been written, or never will be. */
  wait(waiter: () => void): void {
    if (this.#closed) waiter()
    else this.#waiters.push(waiter)
  }

  /** To be called before a read that `send` or `settle` will answer. */
  prepare(): void {
    this.#served.push(...this.#waiters)
    this.#waiters = []
  }

  /** Sends all the frames, as fast as the reader takes them; then it holds what they lead to. Only while it is ready. */
  send(delivery: Delivery): void {
    const { kind, frames } = delivery
    frames.hold()
    this.#sending = { ...delivery, next: 0, stop: frames.onProgress(() => this.#continue()) }
    if (kind === 'snapshot') this.needsSnapshot = false
    this.hadDeltas = kind === 'delta'
    this.#continue()
  }

  /** There is nothing to send: whoever waits has all there is. */
  settle(): void {
    if (this.#sending !== undefined) return
    const served = this.#served
    this.#served = []
    for (const waiter of served) waiter()
  }

  /** The target takes frames again. */
  drained(): void {
    this.#blocked = false
    this.#continue()
  }

  close(): void {
    this.#closed = true
    this.#stopSending()
    this.prepare()
    this.settle()
  }

  fail(error: PolyphonyError): void {
    if (this.#closed) return
    this.close()
    this.#target.fail(error)
  }

  #continue(): void {
    // Asking for a frame may make it, which tells this reader.
    if (this.#isContinuing) return
    this.#isContinuing = true
    try {
      while (this.#sending !== undefined && !this.#blocked) {
        const frame = this.#sending.frames.at(this.#sending.next)
        if (frame === 'pending') return
        if (frame === undefined) return this.#sent(this.#sending)
        this.#sending.next += 1
        this.#blocked = !this.#target.write(frame)
      }
    } catch (error) {
      if (this.#canRestart(error)) this.#restart()
      else this.fail(toPolyphonyError(error))
    } finally {
      this.#isContinuing = false
    }
  }

  #sent({ leadsTo, isNewest }: Sending): void {
    this.#stopSending()
    this.#restarts = 0
    this.held = leadsTo
    if (isNewest) this.settle()
    // Those who wait for all there is wait for the delta that follows.
    else this.#waiters.unshift(...this.#served.splice(0))
    this.#onSent()
  }

  #canRestart(error: unknown): boolean {
    return isPolyphonyError(error) && error.code === 'revision-expired' && this.#restarts < restartsMax
  }

  #restart(): void {
    this.#stopSending()
    this.#restarts += 1
    this.held = undefined
    this.#waiters.unshift(...this.#served.splice(0))
    this.#onSent()
  }

  #stopSending(): void {
    this.#sending?.stop()
    this.#sending?.frames.release()
    this.#sending = undefined
  }
}

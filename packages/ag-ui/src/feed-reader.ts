import { toPolyphonyError, type PolyphonyError } from '@polyphony/core'
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

/** What one reader of a feed holds, and what is on its way to it. */
export class FeedReader {
  readonly #target: FeedTarget
  #sending: { readonly frames: FrameList; readonly leadsTo: HeldVersion; next: number } | undefined
  #blocked = false
  #closed = false
  #waiters: (() => void)[] = []
  #served: (() => void)[] = []
  /** What it was last given in full; absent until then. */
  held: HeldVersion | undefined
  /** Token of the newest version that was found to hold nothing new for it. */
  checked: string | undefined
  /** Whether it gets a snapshot next, whatever it holds. */
  needsSnapshot = false
  /** Whether it got deltas since its last snapshot. */
  hadDeltas = false

  constructor(target: FeedTarget, held: HeldVersion | undefined) {
    this.#target = target
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

  /** Sends all of `frames`, as fast as the reader takes them; then it holds `leadsTo`. Only while it is ready. */
  send(frames: FrameList, kind: Frame['kind'], leadsTo: HeldVersion): void {
    this.#sending = { frames, leadsTo, next: 0 }
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
    this.#sending = undefined
    this.prepare()
    this.settle()
  }

  fail(error: PolyphonyError): void {
    if (this.#closed) return
    this.close()
    this.#target.fail(error)
  }

  #continue(): void {
    try {
      while (this.#sending !== undefined && !this.#blocked) {
        const frame = this.#sending.frames.at(this.#sending.next)
        if (frame === undefined) {
          this.held = this.#sending.leadsTo
          this.#sending = undefined
          this.settle()
          return
        }
        this.#sending.next += 1
        this.#blocked = !this.#target.write(frame)
      }
    } catch (error) {
      this.fail(toPolyphonyError(error))
    }
  }
}

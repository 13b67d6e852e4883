import type { Clock } from '@polyphony/core'

interface Timer {
  readonly at: number
  readonly sequence: number
  readonly task: () => void
}

/** Time that passes only when it is told to: a queue of timers, run one by one. */
export class VirtualClock implements Clock {
  #now = 1_800_000_000_000
  #sequence = 0
  readonly #timers = new Set<Timer>()

  now(): number {
    return this.#now
  }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), sequence: this.#sequence++, task }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  /** Runs the next timer if it is due within `ms`; time moves on to it, or by `ms`. Returns whether one ran. */
  runNext(ms: number): boolean {
    let next: Timer | undefined
    for (const timer of this.#timers) {
      if (
        next === undefined ||
        timer.at < next.at ||
        (timer.at === next.at && timer.sequence < next.sequence)
      )
        next = timer
    }
    const until = this.#now + ms
    if (next === undefined || next.at > until) {
      this.#now = until
      return false
    }
    this.#timers.delete(next)
    this.#now = Math.max(this.#now, next.at)
    next.task()
    return true
  }

  /** A clock for something that can die: after `kill`, none of its timers runs any more. */
  mortal(): { readonly clock: Clock; readonly kill: () => void } {
    let dead = false
    return {
      clock: {
        now: () => this.#now,
        after: (ms, task) =>
          this.after(ms, () => {
            if (!dead) task()
          }),
      },
      kill: () => {
        dead = true
      },
    }
  }
}

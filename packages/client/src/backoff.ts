import type { Random } from '@polyphony/core'

export interface BackoffOptions {
  readonly random: Random
  readonly firstMs: number
  readonly maxMs: number
}

/** Growing delays between attempts, with jitter, so that a thousand clients do not come back in the same moment. */
export class Backoff {
  readonly #options: BackoffOptions
  #attempts = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** Attempts since the last success. */
  get attempts(): number {
    return this.#attempts
  }

  /** How long to wait before the next attempt: between half of and all of a delay that doubles each time. */
  next(): number {
    const { random, firstMs, maxMs } = this.#options
    const delayMs = Math.min(maxMs, firstMs * 2 ** Math.min(this.#attempts, 30))
    this.#attempts++
    return delayMs * (0.5 + random.uint32() / 2 ** 33)
  }

  reset(): void {
    this.#attempts = 0
  }
}

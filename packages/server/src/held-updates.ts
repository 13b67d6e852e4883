import type { Limits, PolyphonyError } from '@polyphony/core'
import type { Authorship } from './document-handle.ts'
import type { Frontier } from './frontier.ts'

export interface HeldUpdate {
  readonly update: Uint8Array
  readonly authorship: Authorship
  /** An id that must be integrated before it is worth another try. */
  readonly missing: { readonly client: number; readonly clock: number }
  readonly committed: (revision: number) => void
  readonly refused: (error: PolyphonyError) => void
  /** What it costs to keep it. */
  readonly bytes: number
  /** How often it has been held by now. */
  readonly tries: number
}

const heldCountMax = 1_000
/** Each further try costs the size of the update, and a tiny update of somebody else can trigger it. */
const heldTriesMax = 16

/**
 * Updates that came before what they build on (normal: browser tabs exchange edits among themselves). They are neither
 * stored nor acknowledged; when there is no room for more, the oldest are forgotten, and so is what was tried often: their authors still have them.
 */
export class HeldUpdates {
  readonly #limits: Limits
  #held: HeldUpdate[] = []
  #bytes = 0

  constructor(limits: Limits) {
    this.#limits = limits
  }

  get bytes(): number {
    return this.#bytes
  }

  clear(): void {
    this.#held = []
    this.#bytes = 0
  }

  hold(update: HeldUpdate): void {
    if (update.tries > heldTriesMax) return
    this.#held.push(update)
    this.#bytes += update.bytes
    while (this.#held.length > heldCountMax || this.#bytes > this.#limits.heldBytesMax) {
      const oldest = this.#held.shift()
      if (oldest === undefined) return
      this.#bytes -= oldest.bytes
    }
  }

  /** Removes and returns one whose missing id is there now. */
  take(frontier: Frontier): HeldUpdate | undefined {
    const index = this.#held.findIndex(({ missing }) => frontier.clock(missing.client) > missing.clock)
    if (index === -1) return undefined
    const [held] = this.#held.splice(index, 1)
    this.#bytes -= held?.bytes ?? 0
    return held
  }
}

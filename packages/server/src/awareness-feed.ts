import type { Clock } from '@polyphony/core'
import type { AwarenessTable } from './awareness.ts'
import type { RoomSession } from './room-session.ts'

export interface AwarenessFeedOptions {
  readonly clock: Clock
  readonly relayAwareness?: ((message: Uint8Array) => void) | undefined
}

/** Sends what changes in an awareness table: to the sessions of this node, and what these changed to other nodes. */
export class AwarenessFeed {
  readonly #options: AwarenessFeedOptions
  readonly #room: { readonly awareness: AwarenessTable; readonly sessions: ReadonlySet<RoomSession> }
  #isScheduled = false

  constructor(
    options: AwarenessFeedOptions,
    room: { readonly awareness: AwarenessTable; readonly sessions: ReadonlySet<RoomSession> },
  ) {
    this.#options = options
    this.#room = room
  }

  /** Sends in a moment, with whatever else changes until then. */
  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    const { awareness, sessions } = this.#room
    // The more people listen, the longer changes are gathered: each costs one write per listener.
    this.#options.clock.after(5 + sessions.size / 10, () => {
      this.#isScheduled = false
      const own = awareness.takeOwn()
      if (own !== undefined) this.#options.relayAwareness?.(own)
      const message = awareness.take()
      if (message !== undefined) for (const session of sessions) session.deliverAwareness(message)
    })
  }
}

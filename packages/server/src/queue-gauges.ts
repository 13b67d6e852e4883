import type { Telemetry } from '@polyphony/core'

/** What one room adds to the gauges of everything that waits on this node. */
export class QueueGauges {
  readonly #telemetry: Telemetry
  #measured = { entries: 0, bytes: 0, heldBytes: 0 }

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry
  }

  /** Tells the gauges by how much the queue and what is held have grown or shrunk since the last call. */
  measure(
    queue: { readonly length: number; readonly bytes: number },
    intake: { readonly heldBytes: number },
  ): void {
    const now = { entries: queue.length, bytes: queue.bytes, heldBytes: intake.heldBytes }
    this.#telemetry.gauge('polyphony_commit_queue_entries', now.entries - this.#measured.entries)
    this.#telemetry.gauge('polyphony_commit_queue_bytes', now.bytes - this.#measured.bytes)
    this.#telemetry.gauge('polyphony_held_bytes', now.heldBytes - this.#measured.heldBytes)
    this.#measured = now
  }
}

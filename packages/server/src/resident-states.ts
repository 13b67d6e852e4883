import type { Clock, Telemetry } from '@polyphony/core'
import type { BaseState } from './base-state.ts'

export interface ResidentStatesOptions {
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Bytes of checkpoints that stay in memory; beyond, those go first that were not used for longest. */
  readonly bytesMax: number
}

const idleMs = 60_000
/** Small checkpoints are not worth reading again. */
const droppedBytesMin = 1 << 20

/**
 * The checkpoints whose bytes are in memory, over all documents of a node. The large ones are let go of when nobody joins
 * their document for a while, and the oldest when all together exceed the budget.
 */
export class ResidentStates {
  readonly #options: ResidentStatesOptions
  /** In the order of their last use, which is the value. */
  readonly #states = new Map<BaseState, number>()
  #bytes = 0
  #isSweeping = false

  constructor(options: ResidentStatesOptions) {
    this.#options = options
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The state is in memory and was used just now. */
  use(state: BaseState): void {
    if (state.pieces === undefined || state.bytes === 0) return
    if (!this.#states.delete(state)) this.#count(state.bytes)
    this.#states.set(state, this.#options.clock.now())
    for (const oldest of this.#states.keys()) {
      if (this.#bytes <= this.#options.bytesMax || oldest === state) break
      this.#drop(oldest)
    }
    this.#scheduleSweep()
  }

  /** The document needs the state no more. */
  forget(state: BaseState): void {
    if (this.#states.delete(state)) this.#count(-state.bytes)
  }

  #drop(state: BaseState): void {
    this.forget(state)
    state.drop()
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#options.telemetry.gauge('polyphony_checkpoint_memory_bytes', bytes)
  }

  #scheduleSweep(): void {
    if (this.#isSweeping) return
    this.#isSweeping = true
    const { clock } = this.#options
    clock.after(idleMs, () => {
      this.#isSweeping = false
      for (const [state, usedAtMs] of this.#states)
        if (clock.now() - usedAtMs >= idleMs && state.bytes >= droppedBytesMin) this.#drop(state)
      if (this.#states.size > 0) this.#scheduleSweep()
    })
  }
}

import type { Logger, Telemetry } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import type { Compactor } from './compaction.ts'
import type { Room } from './room.ts'

export interface CheckpointerOptions {
  readonly store: DocumentStore
  readonly compactor: Compactor
  readonly logger: Logger
  readonly telemetry: Telemetry
}

const tailEntriesMin = 500
const tailEntriesMax = 10_000
const chunkBytes = 256 << 10

/**
 * Turns the log above a document's newest checkpoint into a new one: when it is long, and when the room is unloaded. A
 * large document waits for a log in proportion to its size, so that what is written stays in proportion to what is edited.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions
  readonly #running = new Map<Room, Promise<void>>()
  /** How long a log has to be before it is tried again after a failure. */
  readonly #notBefore = new WeakMap<Room, number>()

  constructor(options: CheckpointerOptions) {
    this.#options = options
  }

  /** Starts a checkpoint when the room's log has grown enough for one. */
  consider(room: Room): void {
    const { tail, tailBytes, base } = room.log
    if (tail.length < (this.#notBefore.get(room) ?? tailEntriesMin)) return
    if (tail.length < tailEntriesMax && tailBytes * 4 < base.length) return
    if (!this.#running.has(room)) void this.checkpoint(room)
  }

  /** Makes a checkpoint of everything that is committed by now. A failure is logged; the log is still there. */
  checkpoint(room: Room): Promise<void> {
    const running = this.#running.get(room)
    if (running !== undefined) return running
    const made = this.#make(room).finally(() => this.#running.delete(room))
    this.#running.set(room, made)
    return made
  }

  async #make(room: Room): Promise<void> {
    const { store, compactor, logger, telemetry } = this.#options
    const { incarnation } = room
    const { revision, tail } = room.log
    if (tail.length === 0) return
    const startedAt = performance.now()
    try {
      const { state, stateVector } = await compactor.compact(room.log.updates())
      await store.checkpoint(room.documentId, {
        revision,
        incarnation,
        stateVector,
        state: chunksOf(state),
      })
      this.#notBefore.delete(room)
      room.log.rebase(revision, [state])
      telemetry.observe('polyphony_checkpoint_duration_ms', performance.now() - startedAt)
      logger.debug(
        { documentId: room.documentId, revision, bytes: state.length, entries: tail.length },
        'checkpoint',
      )
    } catch (error) {
      this.#notBefore.set(room, 2 * Math.max(tail.length, tailEntriesMin))
      telemetry.count('polyphony_checkpoint_failures_total')
      logger.warn(
        { documentId: room.documentId, revision, error: String(error) },
        'checkpoint failed; the log is kept',
      )
    }
  }
}

// oxlint-disable-next-line typescript/require-await -- the contract streams; these bytes happen to be in memory
async function* chunksOf(state: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < state.length; at += chunkBytes) yield state.subarray(at, at + chunkBytes)
}

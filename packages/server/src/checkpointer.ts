import {
  inSlices,
  type Clock,
  type Logger,
  type SlicedWork,
  type Telemetry,
  type Turns,
} from '@polyphony/core'
import { encodeUpdateSeries, type DocumentStore } from '@polyphony/storage'
import { BaseState } from './base-state.ts'
import type { Compactor } from './compaction.ts'
import { LogPiece } from './log-piece.ts'
import type { Room } from './room.ts'
import type { StatePiece } from './state-pieces.ts'
import { updateCostUs } from './update-cost.ts'

export interface CheckpointerOptions {
  readonly store: DocumentStore
  readonly compactor: Compactor
  readonly clock: Clock
  readonly turns: Turns
  readonly logger: Logger
  readonly telemetry: Telemetry
  /** Default: `defaultCheckpointPolicy`. */
  readonly checkpoints?: CheckpointPolicy | undefined
}

/** When the log above a checkpoint becomes a new one: at the first of these. */
export interface CheckpointPolicy {
  readonly entries: number
  /** Of the updates in it. */
  readonly bytes: number
  /** Of its oldest entry, looked at when another one comes. */
  readonly ageMs: number
}

export const defaultCheckpointPolicy: CheckpointPolicy = { entries: 500, bytes: 8 << 20, ageMs: 3_600_000 }

/** A log of so many times the entries is not kept any longer, however large its document. */
const patience = 20

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
    const isDue = room.log.tail.length >= (this.#notBefore.get(room) ?? 1) && this.#isLong(room)
    if (isDue && !this.#running.has(room)) void this.checkpoint(room)
  }

  #isLong({ log: { tail, tailBytes, base } }: Room): boolean {
    const { clock, checkpoints = defaultCheckpointPolicy } = this.#options
    const { entries, bytes, ageMs } = checkpoints
    const age = clock.now() - (tail[0]?.committedAtMs ?? Infinity)
    const isDue = tail.length >= entries || tailBytes >= bytes || age >= ageMs
    return isDue && (tailBytes * 4 >= base.bytes || tail.length >= entries * patience)
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
    const { store, compactor, turns, logger, telemetry } = this.#options
    const { incarnation } = room
    const startedAt = performance.now()
    const { tail } = room.log
    const entries = tail.length
    if (entries === 0) return
    try {
      await room.base.load()
      const { revision, base } = room.log
      const updates = [...(base.pieces ?? []), ...room.log.tail].map(({ update }) => update)
      const { pieces, stateVector } = await compactor.compact(updates)
      const state = encodeUpdateSeries(pieces.map(({ update }) => update))
      await store.checkpoint(room.documentId, { revision, incarnation, stateVector, state })
      this.#notBefore.delete(room)
      const next = new BaseState(revision, await inSlices(logPiecesOf(pieces), turns))
      // Another node's checkpoint may have been taken over meanwhile.
      if (!room.isClosed && revision > room.log.base.revision) room.base.replace(next)
      telemetry.observe('polyphony_checkpoint_duration_ms', performance.now() - startedAt)
      logger.debug({ documentId: room.documentId, revision, bytes: next.bytes, entries }, 'checkpoint')
    } catch (error) {
      this.#notBefore.set(room, 2 * entries)
      telemetry.count('polyphony_checkpoint_failures_total')
      logger.warn({ documentId: room.documentId, error: String(error) }, 'checkpoint failed; the log is kept')
    }
  }
}

function* logPiecesOf(pieces: readonly StatePiece[]): SlicedWork<readonly LogPiece[]> {
  const made: LogPiece[] = []
  for (const { update, clocks } of pieces) {
    made.push(new LogPiece(update, clocks))
    yield updateCostUs(update.length)
  }
  return made
}

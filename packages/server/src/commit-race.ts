import type { Revision } from '@polyphony/storage'
import type { CommitQueue } from './commit-queue.ts'
import { OvertakenError } from './guarded-batch.ts'

export interface CommitRaceOptions {
  readonly queue: CommitQueue
  /** The newest revision that has arrived here. */
  readonly revision: () => Revision
  /** What was taken from the queue last stands in the log from this revision on. */
  readonly place: (first: Revision) => void
}

/** A batch that loses this often in a row is planned anew, so that what waits behind it gets its turn. */
const lossesMax = 8

/**
 * Compare-and-set in a log that other nodes write too. A guarded batch is appended only at a head up to which this node
 * knows every entry, because then its conditions can be answered here:
 *
 *            conditions hold            the store: the head is elsewhere
 *   waiting ────────────────→ writing ─────────────────────────────────→ overtaken
 *    ↑  │ they no longer hold            │ ok                              │ the log has arrived
 *    │  └──→ thrown away, planned anew   └──→ placed ←── it was our own ───┤
 *    └──────────────────────── it was somebody else's: the same bytes ─────┘
 */
export class CommitRace {
  readonly #options: CommitRaceOptions
  #expect: Revision | undefined
  #overtakenAt: Revision | undefined
  #waitsForLog = false

  constructor(options: CommitRaceOptions) {
    this.#options = options
  }

  /** The head that what was taken from the queue last must follow; `undefined`: any. */
  get expect(): Revision | undefined {
    return this.#expect
  }

  /** Whether the queue hands out nothing until more of the log has arrived. */
  get waitsForLog(): boolean {
    return this.#waitsForLog
  }

  /** Whether entries may be taken from the queue now. Throws batches out whose conditions no longer hold. */
  admits(): boolean {
    const { queue, revision } = this.#options
    if (!this.#isResolved()) return false
    this.#expect = undefined
    for (let batch = queue.nextBatch; batch !== undefined; batch = queue.nextBatch) {
      const known = queue.placedUpTo(revision())
      this.#waitsForLog = known === undefined
      if (known === undefined) return false
      if (batch.losses < lossesMax && batch.holdsAt(known)) {
        this.#expect = known
        return true
      }
      queue.drop(batch, new OvertakenError(), revision())
    }
    return true
  }

  /** The store has refused what was taken last, because the head is not where it was expected. */
  overtaken(): void {
    this.#overtakenAt = this.#expect
  }

  /** To be called for each entry that arrives: an append whose answer was lost is recognised. */
  received(revision: Revision, appendId: string | undefined): void {
    const batch = this.#options.queue.batchInFlight
    if (appendId !== undefined && batch?.appendId === appendId) batch.landedAt ??= revision
  }

  /** Whether nothing that was overtaken is in the way, or the log has come far enough to tell what became of it. */
  #isResolved(): boolean {
    const { queue, revision, place } = this.#options
    const batch = queue.batchInFlight
    if (this.#overtakenAt === undefined || batch === undefined) return true
    this.#waitsForLog = revision() <= this.#overtakenAt
    if (this.#waitsForLog) return false
    this.#overtakenAt = undefined
    if (batch.landedAt !== undefined) {
      place(batch.landedAt)
      return true
    }
    batch.losses++
    queue.restore()
    return true
  }
}

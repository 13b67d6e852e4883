import {
  assert,
  startSlices,
  type Clock,
  type IdSet,
  type Logger,
  type PolyphonyError,
  type Telemetry,
  type Turns,
} from '@polyphony/core'
import type { JsonView, JsonViewOptions } from '@polyphony/translator'
import type { BaseKeeper } from './base-keeper.ts'
import type { CommittedEntry, DocumentLog } from './document-log.ts'
import type { Increment } from './frontier.ts'
import { OvertakenError, type EditCondition, type GuardedBatch } from './guarded-batch.ts'
import { Replica } from './replica.ts'

export interface ReplicaKeeperOptions {
  readonly log: DocumentLog
  readonly base: Pick<BaseKeeper, 'load' | 'use'>
  readonly clock: Clock
  readonly turns: Turns
  readonly logger: Logger
  readonly telemetry: Telemetry
  readonly clientId: () => number
  readonly projection: JsonViewOptions
  readonly onImpliedDeletes: (deletes: IdSet) => void
  /** Starts a batch for edits with conditions. Absent where nobody else writes the log: there they always hold. */
  readonly guard?: ((planned: number) => GuardedBatch) | undefined
}

export interface ReplicaChange {
  readonly update: Uint8Array
  readonly increment: Increment
  /** Identifies the replica that made the change and so needs not apply it. */
  readonly madeBy: object
  /** Set when it is written only together with the others of its batch, and only if their conditions hold. */
  readonly batch?: GuardedBatch | undefined
}

interface PendingEdit {
  readonly plan: (view: JsonView) => unknown
  readonly commit: (change: ReplicaChange) => Promise<number>
  readonly condition: EditCondition | undefined
  readonly resolve: (outcome: { result: unknown; revision: number; changed: boolean }) => void
  readonly reject: (error: unknown) => void
}

interface PendingRead {
  readonly run: (view: JsonView) => void
  readonly reject: (error: unknown) => void
}

const idleMs = 30_000
const applyDelayMs = 50
const backlogMax = 1_000

/**
 * Makes the replica when it is needed, drops it when it is not, and keeps the rule of server-made edits: at most one batch
 * is on its way to the log, nothing is read from the replica meanwhile, and edits that arrive wait for the next batch.
 */
export class ReplicaKeeper {
  readonly #options: ReplicaKeeperOptions
  #replica: Replica | undefined
  /** Committed entries that the replica has not taken in yet, in log order. */
  #backlog: { readonly entry: CommittedEntry; readonly own: boolean }[] = []
  #edits: PendingEdit[] = []
  #batch: Set<PendingEdit> | undefined
  readonly #reads: PendingRead[] = []
  /** Stops the making of a replica that takes several turns. */
  #cancelMaking: (() => void) | undefined
  #pumpScheduled = false
  #applyScheduled = false
  #idleScheduled = false
  #usedAt = 0
  #closedBy: PolyphonyError | undefined

  constructor(options: ReplicaKeeperOptions) {
    this.#options = options
  }

  /** Whether edits are on their way to the log. */
  get isWriting(): boolean {
    return this.#batch !== undefined
  }

  get isBusy(): boolean {
    return this.#batch !== undefined || this.#edits.length > 0
  }

  /**
   * Runs `task` on the newest committed state: at once, or when the batch that is under way is done, or when the replica
   * of a large document has been made.
   */
  read<T>(task: (view: JsonView) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#reads.push({ run: (view) => resolve(task(view)), reject })
      this.#serveReads()
    })
  }

  /**
   * Plans an edit in the next batch. `commit` brings its bytes into the log and resolves with their revision. Rejects with
   * an `OvertakenError` when the batch was thrown away because a condition of one of its edits does not hold; then nothing
   * has changed.
   */
  edit<T>(
    plan: (view: JsonView) => T,
    commit: (change: ReplicaChange) => Promise<number>,
    condition?: EditCondition,
  ): Promise<{ result: T; revision: number; changed: boolean }> {
    return new Promise((resolve, reject) => {
      if (this.#closedBy !== undefined) throw this.#closedBy
      this.#edits.push({ plan, commit, condition, resolve: resolve as PendingEdit['resolve'], reject })
      this.#schedulePump()
    })
  }

  /** Hears of an entry that was committed, in log order. */
  advance(entry: CommittedEntry, makers: readonly object[]): void {
    const replica = this.#replica
    if (replica === undefined && this.#cancelMaking === undefined) return
    this.#backlog.push({ entry, own: replica !== undefined && makers.includes(replica) })
    if (replica === undefined) return
    if (this.#batch === undefined && this.#backlog.length >= backlogMax) this.#catchUp()
    else this.#scheduleApply()
  }

  /**
   * Stops waiting for the batch under way: its edits, and those that wait for their turn, fail with `error`, and the
   * replica is made anew from the log.
   */
  abandon(error: PolyphonyError): void {
    const batch = this.#batch
    for (const edit of [...(batch ?? []), ...this.#edits.splice(0)]) edit.reject(error)
    if (batch === undefined) return
    this.#batch = undefined
    this.#drop()
    this.#serveReads()
  }

  /** @param inFlight what the authors of the batch under way hear */
  close(error: PolyphonyError, inFlight: PolyphonyError): void {
    this.#closedBy = error
    for (const edit of this.#batch ?? []) edit.reject(inFlight)
    for (const edit of this.#edits.splice(0)) edit.reject(error)
    this.#batch = undefined
    for (const { reject } of this.#reads.splice(0)) reject(error)
    this.#stopMaking()
    this.#drop()
  }

  #serveReads(): void {
    while (this.#reads.length > 0 && this.#batch === undefined && this.#isReady()) {
      const read = this.#reads.shift()
      try {
        read?.run(this.#current().view)
      } catch (error) {
        read?.reject(error)
      }
    }
  }

  #schedulePump(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    queueMicrotask(() => {
      this.#pumpScheduled = false
      if (this.#batch === undefined && this.#edits.length > 0 && this.#isReady()) this.#runBatch()
    })
  }

  #runBatch(): void {
    const edits = this.#edits
    this.#edits = []
    const batch = new Set<PendingEdit>()
    this.#batch = batch
    const commits: Promise<void>[] = []
    const unchanged: { readonly edit: PendingEdit; readonly answer: () => void }[] = []
    const isGuarded = edits.some(({ condition }) => condition !== undefined)
    const guard = isGuarded ? this.#options.guard?.(this.#options.log.revision) : undefined
    let tainted = false
    let overtaken: OvertakenError | undefined
    for (const edit of edits) {
      if (tainted) {
        this.#edits.push(edit)
        continue
      }
      try {
        const replica = this.#replicaForBatch(commits.length === 0)
        const outcome = replica.edit(edit.plan)
        if ('error' in outcome) {
          tainted = outcome.tainted
          edit.reject(outcome.error)
        } else if (outcome.change === undefined) {
          const { result } = outcome
          batch.add(edit)
          // What made it a no-op may be another edit of this batch, so it is answered together with the batch.
          const answer = (): void =>
            edit.resolve({ result, revision: this.#options.log.revision, changed: false })
          unchanged.push({ edit, answer })
        } else {
          const { result, change } = outcome
          batch.add(edit)
          if (edit.condition !== undefined) guard?.require(edit.condition)
          commits.push(
            edit.commit({ ...change, madeBy: replica, batch: guard }).then(
              (revision) => edit.resolve({ result, revision, changed: true }),
              (error: unknown) => {
                if (error instanceof OvertakenError) overtaken = error
                edit.reject(error)
              },
            ),
          )
        }
      } catch (error) {
        tainted = true
        edit.reject(error)
      }
    }
    void Promise.all(commits).then(() => {
      if (this.#batch !== batch) return
      this.#batch = undefined
      // A plan that failed half-way, or was thrown away, has left traces in the replica that never reach the log.
      if (tainted || overtaken !== undefined) this.#drop()
      for (const { edit, answer } of unchanged) {
        if (overtaken === undefined) answer()
        else edit.reject(overtaken)
      }
      this.#serveReads()
      this.#scheduleApply()
      this.#schedulePump()
    })
  }

  /** Within a batch nothing is taken in from others. */
  #replicaForBatch(isFirst: boolean): Replica {
    return isFirst || this.#replica === undefined ? this.#current() : this.#replica
  }

  /** Whether there is a replica. When there is none, one is made; a large one takes several turns. */
  #isReady(): boolean {
    this.#usedAt = this.#options.clock.now()
    if (this.#closedBy !== undefined) {
      for (const { reject } of this.#reads.splice(0)) reject(this.#closedBy)
      return false
    }
    if (this.#replica === undefined && this.#cancelMaking === undefined) this.#make()
    return this.#replica !== undefined
  }

  #make(): void {
    const { log, base, clock, turns, clientId, projection, onImpliedDeletes } = this.#options
    let isCancelled = false
    this.#cancelMaking = () => (isCancelled = true)
    const failed = (error: unknown): void => {
      if (isCancelled) return
      this.#stopMaking()
      for (const { reject } of [...this.#reads.splice(0), ...this.#edits.splice(0)]) reject(error)
    }
    const begin = (): void => {
      if (isCancelled) return
      const { pieces, revision } = log.base
      if (pieces === undefined) {
        base.load().then(begin, failed)
        return
      }
      base.use()
      // What is committed from here on is taken in afterwards.
      this.#backlog = []
      const cancel = startSlices(
        Replica.make({
          base: pieces,
          baseRevision: revision,
          tail: [...log.tail],
          clientId: clientId(),
          clock,
          projection,
          onImpliedDeletes,
        }),
        turns,
        { done: (replica) => this.#made(replica), failed },
      )
      if (this.#replica === undefined && this.#cancelMaking !== undefined) this.#cancelMaking = cancel
    }
    begin()
  }

  #made(replica: Replica): void {
    this.#cancelMaking = undefined
    this.#replica = replica
    this.#options.telemetry.gauge('polyphony_replicas', 1)
    this.#scheduleIdle()
    this.#serveReads()
    this.#schedulePump()
  }

  #stopMaking(): void {
    this.#cancelMaking?.()
    this.#cancelMaking = undefined
  }

  /** The replica at the newest committed revision. Must not be called while a batch is under way, nor before it is ready. */
  #current(): Replica {
    const replica = this.#replica
    assert(replica !== undefined, 'a replica is made before it is used')
    this.#applyBacklog(replica)
    return replica
  }

  /** A replica that fails in this is dropped: it may have taken in a part. */
  #applyBacklog(replica: Replica): void {
    const backlog = this.#backlog
    this.#backlog = []
    let run: CommittedEntry[] = []
    try {
      for (const { entry, own } of backlog) {
        if (!own) {
          run.push(entry)
          continue
        }
        replica.apply(run)
        run = []
        replica.record(entry)
      }
      replica.apply(run)
    } catch (error) {
      this.#drop()
      throw error
    }
  }

  /** Takes committed entries in while nobody waits for it. */
  #catchUp(): void {
    if (this.#batch !== undefined || this.#replica === undefined) return
    try {
      this.#applyBacklog(this.#replica)
    } catch (error) {
      this.#options.logger.error(
        { revision: this.#options.log.revision, error: String(error) },
        'replica dropped: it could not take in what is committed',
      )
    }
  }

  /** Waiting entries are taken in a moment later, in one transaction, even when nobody reads. */
  #scheduleApply(): void {
    if (this.#applyScheduled || this.#backlog.length === 0) return
    this.#applyScheduled = true
    this.#options.clock.after(applyDelayMs, () => {
      this.#applyScheduled = false
      this.#catchUp()
    })
  }

  #scheduleIdle(): void {
    if (this.#idleScheduled) return
    this.#idleScheduled = true
    this.#options.clock.after(idleMs, () => {
      this.#idleScheduled = false
      if (this.#replica === undefined) return
      if (!this.isBusy && this.#options.clock.now() - this.#usedAt >= idleMs) this.#drop()
      else this.#scheduleIdle()
    })
  }

  #drop(): void {
    if (this.#replica === undefined) return
    this.#options.telemetry.gauge('polyphony_replicas', -1)
    this.#replica.destroy()
    this.#replica = undefined
    this.#backlog = []
  }
}

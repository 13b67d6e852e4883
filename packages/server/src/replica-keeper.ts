import type { Clock, IdSet, Logger, PolyphonyError, Telemetry } from '@polyphony/core'
import type { JsonView, JsonViewOptions } from '@polyphony/translator'
import type { CommittedEntry, DocumentLog } from './document-log.ts'
import type { Increment } from './frontier.ts'
import { Replica } from './replica.ts'

export interface ReplicaKeeperOptions {
  readonly log: DocumentLog
  readonly clock: Clock
  readonly logger: Logger
  readonly telemetry: Telemetry
  readonly clientId: () => number
  readonly projection: JsonViewOptions
  readonly onImpliedDeletes: (deletes: IdSet) => void
}

export interface ReplicaChange {
  readonly update: Uint8Array
  readonly increment: Increment
  /** Identifies the replica that made the change and so needs not apply it. */
  readonly madeBy: object
}

interface PendingEdit {
  readonly plan: (view: JsonView) => unknown
  readonly commit: (change: ReplicaChange) => Promise<number>
  readonly resolve: (outcome: { result: unknown; revision: number; changed: boolean }) => void
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
  #reads: (() => void)[] = []
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

  /** Runs `task` on the newest committed state: at once, or when the batch that is under way is done. */
  read<T>(task: (view: JsonView) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = (): void => {
        try {
          if (this.#closedBy !== undefined) throw this.#closedBy
          resolve(task(this.#current().view))
        } catch (error) {
          reject(error)
        }
      }
      if (this.#batch === undefined) run()
      else this.#reads.push(run)
    })
  }

  /** Plans an edit in the next batch. `commit` brings its bytes into the log and resolves with their revision. */
  edit<T>(
    plan: (view: JsonView) => T,
    commit: (change: ReplicaChange) => Promise<number>,
  ): Promise<{ result: T; revision: number; changed: boolean }> {
    return new Promise((resolve, reject) => {
      if (this.#closedBy !== undefined) throw this.#closedBy
      this.#edits.push({ plan, commit, resolve: resolve as PendingEdit['resolve'], reject })
      this.#schedulePump()
    })
  }

  /** Hears of an entry that was committed, in log order. */
  advance(entry: CommittedEntry, makers: readonly object[]): void {
    if (this.#replica === undefined) return
    this.#backlog.push({ entry, own: makers.includes(this.#replica) })
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
    for (const run of this.#reads.splice(0)) run()
  }

  /** @param inFlight what the authors of the batch under way hear */
  close(error: PolyphonyError, inFlight: PolyphonyError): void {
    this.#closedBy = error
    for (const edit of this.#batch ?? []) edit.reject(inFlight)
    for (const edit of this.#edits.splice(0)) edit.reject(error)
    this.#batch = undefined
    for (const run of this.#reads.splice(0)) run()
    this.#drop()
  }

  #schedulePump(): void {
    if (this.#pumpScheduled) return
    this.#pumpScheduled = true
    queueMicrotask(() => {
      this.#pumpScheduled = false
      if (this.#batch === undefined && this.#edits.length > 0 && this.#closedBy === undefined)
        this.#runBatch()
    })
  }

  #runBatch(): void {
    const edits = this.#edits
    this.#edits = []
    const batch = new Set<PendingEdit>()
    this.#batch = batch
    const commits: Promise<void>[] = []
    const unchanged: (() => void)[] = []
    let tainted = false
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
          unchanged.push(() => edit.resolve({ result, revision: this.#options.log.revision, changed: false }))
        } else {
          const { result, change } = outcome
          batch.add(edit)
          commits.push(
            edit.commit({ ...change, madeBy: replica }).then(
              (revision) => edit.resolve({ result, revision, changed: true }),
              (error: unknown) => edit.reject(error),
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
      // A plan that failed half-way has left traces in the replica that never reach the log.
      if (tainted) this.#drop()
      for (const answer of unchanged) answer()
      for (const run of this.#reads.splice(0)) run()
      this.#scheduleApply()
      this.#schedulePump()
    })
  }

  #replicaForBatch(isFirst: boolean): Replica {
    return isFirst ? this.#current() : (this.#replica ?? this.#current())
  }

  /** The replica at the newest committed revision. Must not be called while a batch is under way. */
  #current(): Replica {
    this.#usedAt = this.#options.clock.now()
    if (this.#replica === undefined) {
      const { log, clock, clientId, projection, onImpliedDeletes } = this.#options
      this.#backlog = []
      this.#replica = new Replica({
        base: log.base,
        baseRevision: log.baseRevision,
        tail: log.tail,
        clientId: clientId(),
        clock,
        projection,
        onImpliedDeletes,
      })
      this.#options.telemetry.gauge('polyphony_replicas', 1)
      this.#scheduleIdle()
    }
    this.#applyBacklog(this.#replica)
    return this.#replica
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

import { assert, inSlices, type PolyphonyError, type Turns } from '@polyphony/core'
import { encodeMeta, type EntryMeta, type LogEntry, type NewEntry } from '@polyphony/storage'
import type { JsonView } from '@polyphony/translator'
import { AwarenessFeed } from './awareness-feed.ts'
import { AwarenessTable } from './awareness.ts'
import { BaseKeeper } from './base-keeper.ts'
import { CommitQueue, type QueuedGroup } from './commit-queue.ts'
import { CommitRace } from './commit-race.ts'
import type { CommitSource } from './committer.ts'
import { deferred } from './deferred.ts'
import type { Authorship, EditOptions, EditOutcome } from './document-handle.ts'
import { DocumentLog, type CommittedEntry } from './document-log.ts'
import { GuardedBatch } from './guarded-batch.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import { Intake } from './intake.ts'
import { ListenerSet } from './listener-set.ts'
import { loadLog } from './log-loading.ts'
import { ReplicaKeeper, type ReplicaChange } from './replica-keeper.ts'
import { QueueGauges } from './queue-gauges.ts'
import { outcomeUnknown, roomBroken, storeSilent, storeUnavailable } from './room-errors.ts'
import type { RoomOptions, RoomState } from './room-options.ts'
import { deliveredEntry, type RoomSession } from './room-session.ts'
import { ServerEdits } from './server-edits.ts'
import { formatRevision } from './version-token.ts'
import { WaitingCalls } from './waiting-calls.ts'

/**
 * One document on one node. Everything that comes in goes through the same gate: it is checked against what the log
 * already reaches, queued, committed, and only then applied, broadcast and acknowledged, in log order.
 *
 *   receive / submit / edit ─→ frontier (new? known? too early?) ─→ queue ─→ committer ─→ committed ─→ sessions, readers
 *
 * On a shared store the way goes through the log that all nodes write: `committed` only says where an entry stands, and
 * `receiveCommitted` brings it, between those of others.
 *
 * A room has no sockets, clock or randomness of its own.
 */
export class Room implements CommitSource {
  readonly documentId: string
  readonly log = new DocumentLog()
  readonly base: BaseKeeper
  /** For what takes long. */
  readonly turns: Turns
  readonly sessions = new Set<RoomSession>()
  readonly awareness: AwarenessTable
  readonly presence: AwarenessFeed
  readonly #options: RoomOptions
  readonly #intake: Intake
  readonly #queue: CommitQueue
  readonly #keys: IdempotencyKeys
  readonly race: CommitRace
  readonly #replica: ReplicaKeeper
  readonly #edits: ServerEdits
  readonly #gauges: QueueGauges
  readonly #advanced = new ListenerSet<[]>((error) => this.#noteFailed(error))
  readonly #ended = new ListenerSet<[PolyphonyError]>((error) => this.#noteFailed(error))
  /** Those who wait without a replica for what is being stored, and are told when the store fails for too long. */
  readonly #waiting = new WaitingCalls()
  /** Yjs client ids that replicas of this room have written under. */
  readonly #ownClientIds = new Set<number>()
  #incarnation: string | undefined
  #closedBy: PolyphonyError | undefined
  #gaveUp = false

  /** Takes over what `state` holds. What is large is taken in by slices. */
  static async open(options: RoomOptions, state: RoomState): Promise<Room> {
    const room = new Room(options, state)
    await inSlices(loadLog(state, room.log, room.#intake), options.turns)
    room.base.use()
    return room
  }

  private constructor(options: RoomOptions, state: RoomState) {
    this.documentId = options.documentId
    this.#options = options
    this.turns = options.turns
    this.#incarnation = state.incarnation
    this.#keys = new IdempotencyKeys(state)
    this.awareness = new AwarenessTable(options.limits)
    this.presence = new AwarenessFeed(options, this)
    this.#gauges = new QueueGauges(options.telemetry)
    this.#queue = new CommitQueue((authorship) => this.#metaOf(authorship))
    this.race = new CommitRace({
      queue: this.#queue,
      revision: () => this.revision,
      place: (first) => this.#place(first, this.#incarnation ?? ''),
    })
    this.#intake = new Intake({
      ...options,
      log: this.log,
      queue: this.#queue,
      ownClientIds: () => [options.clientId(this.#incarnation), ...this.#ownClientIds],
      onQueued: () => options.committer.notify(this),
    })
    this.base = new BaseKeeper({ ...options, log: this.log })
    this.#replica = new ReplicaKeeper({
      ...options,
      log: this.log,
      base: this.base,
      clientId: () => {
        const id = options.clientId(this.#incarnation)
        this.#ownClientIds.add(id)
        return id
      },
      onImpliedDeletes: (deletes) => {
        this.#intake.addImpliedDeletes(deletes)
        this.log.addImpliedDeletes(deletes)
      },
      guard: options.isShared ? (planned) => new GuardedBatch(options.random.hex(16), planned) : undefined,
    })
    this.#edits = new ServerEdits({
      documentId: this.documentId,
      replica: this.#replica,
      keys: this.#keys,
      waiting: this.#waiting,
      commit: (authorship, change) => this.#commitEdit(authorship, change),
      currentToken: () => formatRevision(this.revision, this.#incarnation ?? 'new'),
    })
  }

  get incarnation(): string | undefined {
    return this.#incarnation
  }

  get revision(): number {
    return this.log.revision
  }

  get closedBy(): PolyphonyError | undefined {
    return this.#closedBy
  }

  get isClosed(): boolean {
    return this.#closedBy !== undefined
  }

  /** Whether edits wait to be stored. */
  get hasQueued(): boolean {
    return !this.#queue.isEmpty
  }

  /** Whether every edit that came in is stored. Only such a room may be unloaded. */
  get isSettled(): boolean {
    return this.#queue.isEmpty && !this.#replica.isBusy
  }

  /** The state vector of everything that is committed or on its way to be. */
  encodeStateVector(): Uint8Array {
    return this.#intake.encodeStateVector()
  }

  join(session: RoomSession): void {
    this.#assertOpen()
    this.#assertMeta(session.authorship)
    this.sessions.add(session)
  }

  leave(session: RoomSession): void {
    if (!this.sessions.delete(session)) return
    if (this.awareness.leave(session)) this.presence.schedule()
  }

  /** Takes in an update from a session; the session hears of it by `deliver` or `acknowledge` once it is durable. */
  receive(session: RoomSession, update: Uint8Array, live: boolean): void {
    this.#assertOpen()
    this.#intake.receive(update, live, {
      authorship: session.authorship,
      session,
      asksForMissing: live,
      committed: () => undefined,
      failed: () => undefined,
      refused: (error) => session.close(error),
    })
    this.#gauges.measure(this.#queue, this.#intake)
  }

  /** Takes in an awareness message of a session. */
  receiveAwareness(session: RoomSession, message: Uint8Array): void {
    if (this.awareness.receive(message, session)) this.presence.schedule()
  }

  /** Runs `task`, which keeps `bytes` in memory, once everything that is queued by now is durable. */
  whenDurable(task: () => void, bytes: number): void {
    this.#intake.assertRoomFor(bytes)
    if (!this.#queue.follow({ committed: task, failed: () => undefined }, bytes)) task()
  }

  /** Counts a session that was dropped because it did not read. */
  noteSlowConsumer(): void {
    this.#options.telemetry.count('polyphony_errors_total', 1, { face: 'y-websocket', code: 'slow-consumer' })
  }

  /** Commits an update that came without a session. */
  async submit(authorship: Authorship, update: Uint8Array): Promise<{ revision: number }> {
    this.#assertWritable(authorship)
    const stored = new Promise<number>((committed, failed) =>
      this.#intake.receive(update, false, { authorship, committed, failed }),
    )
    this.#gauges.measure(this.#queue, this.#intake)
    return { revision: await this.#waiting.wait(stored) }
  }

  read<T>(task: (view: JsonView) => T): Promise<T> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy)
    return this.#replica.read(task)
  }

  /** Plans an edit on the replica and commits it; see `DocumentHandle.edit`. */
  async edit<T>(
    authorship: Authorship,
    plan: (view: JsonView) => T,
    options: EditOptions = {},
  ): Promise<EditOutcome<T>> {
    this.#assertWritable(authorship)
    return this.#edits.run(authorship, plan, options)
  }

  takeEntries(bytesMax: number): readonly NewEntry[] {
    if (this.#closedBy !== undefined) return []
    try {
      return this.race.admits() ? this.#queue.take(bytesMax) : []
    } catch (error) {
      this.#break(error)
      return []
    }
  }

  committed(_entries: readonly NewEntry[], first: number, incarnation: string): void {
    if (this.#options.isShared) return this.#place(first, incarnation)
    const groups = this.#queue.settle()
    this.#gauges.measure(this.#queue, this.#intake)
    if (this.#closedBy !== undefined) return
    this.#incarnation = incarnation
    this.#gaveUp = false
    try {
      this.#queue.assertFollows(this.revision, first, groups.length)
      groups.forEach((group, index) => this.#takeIn(group, first + index))
    } catch (error) {
      this.#break(error)
      for (const { failed } of groups.flatMap(({ members }) => members))
        failed(outcomeUnknown(this.documentId, error))
      return
    }
    this.#advanced.tell()
    this.#options.onCommitted()
  }

  /** Takes in what comes next in a shared log. Whoever waits for it hears once the store has answered, too. */
  receiveCommitted(entries: readonly LogEntry[], incarnation: string): void {
    if (this.#closedBy !== undefined) return
    this.#incarnation = incarnation
    this.#gaveUp = false
    try {
      for (const { revision, update, meta } of entries) {
        assert(revision === this.revision + 1, `revision ${revision} after ${this.revision}`)
        this.race.received(revision, meta.appendId)
        const increment = this.#intake.takeCommitted(update)
        this.#takeIn(
          { entry: { update, meta }, increment, members: this.#queue.takePlaced(revision) },
          revision,
        )
      }
    } catch (error) {
      this.#break(error)
      return
    }
    this.#gauges.measure(this.#queue, this.#intake)
    if (this.race.waitsForLog) this.#options.committer.notify(this)
    this.#advanced.tell()
    this.#options.onCommitted()
  }

  commitFailed(_entries: readonly NewEntry[], error: PolyphonyError, failingForMs: number): boolean {
    if (this.#closedBy !== undefined) return false
    // The store is well and refuses: nothing was written, and nothing of it ever will be.
    if (error.status < 500) {
      this.close(error, error)
      this.#options.onBroken(error)
      return false
    }
    this.#queue.repeat()
    if (failingForMs >= this.#options.limits.storeGiveUpMs) this.#giveUp(error)
    return true
  }

  commitStalled(stalledForMs: number): void {
    if (this.#closedBy !== undefined || stalledForMs < this.#options.limits.storeGiveUpMs) return
    this.#giveUp(storeSilent(this.documentId, stalledForMs))
  }

  onAdvance(listener: () => void): () => void {
    return this.#advanced.add(listener)
  }

  onClose(listener: (error: PolyphonyError) => void): () => void {
    return this.#ended.add(listener)
  }

  /**
   * Ends the room: sessions and readers are told why, and everything that still waits fails with the same error.
   *
   * @param inFlight what those hear whose edit is being stored right now
   */
  close(error: PolyphonyError, inFlight: PolyphonyError = outcomeUnknown(this.documentId, error)): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = error
    this.#queue.fail(error, inFlight)
    this.#intake.clear()
    this.#gauges.measure(this.#queue, this.#intake)
    this.#replica.close(error, inFlight)
    for (const session of this.sessions) session.close(error)
    this.sessions.clear()
    this.#ended.tell(error)
    this.#ended.clear()
    this.#advanced.clear()
  }

  /** What was written here stands in the shared log; it may have come back from there before the store answered. */
  #place(first: number, incarnation: string): void {
    const last = this.#queue.place(first)
    if (this.#closedBy !== undefined) return
    this.#incarnation = incarnation
    this.#gaveUp = false
    for (let revision = first; revision <= Math.min(last, this.revision); revision++)
      for (const member of this.#queue.takePlaced(revision)) this.#queue.announce(member, revision)
    this.#gauges.measure(this.#queue, this.#intake)
  }

  /** One committed entry: into the log, to the replica, to everybody, and then to those who wait for it. */
  #takeIn({ entry: { update, meta }, increment, members }: QueuedGroup, revision: number): void {
    const committed: CommittedEntry = { revision, update, increment, committedAtMs: meta.committedAtMs }
    this.log.append(committed)
    this.#keys.remember(meta.idempotencyKey, revision)
    const makers = members.flatMap(({ madeBy }) => madeBy ?? [])
    this.#replica.advance(committed, makers)
    const delivered = deliveredEntry(committed)
    for (const session of this.sessions) session.deliver(delivered)
    for (const member of members) this.#queue.announce(member, revision)
  }

  #commitEdit(authorship: Authorship, change: ReplicaChange): Promise<number> {
    this.#assertOpen()
    const { promise, resolve, reject } = deferred<number>()
    // What this throws reaches the planner at once: its replica holds an edit that will never be in the log.
    if (!this.#intake.receiveEdit(change, { authorship, committed: resolve, failed: reject }))
      throw this.#break(new Error('a server-made edit does not fit the log'))
    this.#gauges.measure(this.#queue, this.#intake)
    return promise
  }

  /** The store has failed for too long: edits are answered, readers go on from the committed state, retries continue. */
  #giveUp(error: PolyphonyError): void {
    if (this.#gaveUp) return
    this.#gaveUp = true
    const unknown = outcomeUnknown(this.documentId, error)
    // First the id, then the replica: what was planned under the old one may yet appear in the log.
    if (this.#replica.isWriting) this.#options.renewClientId()
    this.#replica.abandon(unknown)
    this.#waiting.fail(unknown)
    this.#options.logger.error(
      { documentId: this.documentId, code: error.code, queuedBytes: this.#queue.bytes },
      'store does not answer; edits are kept and tried again',
    )
  }

  /** Ends the room because of a defect: a new one starts from what is stored. */
  #break(cause: unknown): PolyphonyError {
    const error = roomBroken(this.documentId, cause)
    this.#options.logger.error({ documentId: this.documentId, error: String(cause) }, 'room broken')
    this.close(error)
    this.#options.onBroken(error)
    return error
  }

  /** Whatever goes wrong at somebody who listens is no reason to stop here. */
  #noteFailed(error: unknown): void {
    this.#options.logger.error({ documentId: this.documentId, error: String(error) }, 'listener failed')
  }

  #metaOf({ author, runId, idempotencyKey }: Authorship): EntryMeta {
    return { author, runId, idempotencyKey, committedAtMs: this.#options.clock.now() }
  }

  /** What the store would refuse must never get into the queue: it would stop everything behind it. */
  #assertMeta(authorship: Authorship): void {
    encodeMeta(this.#metaOf(authorship), this.documentId)
  }

  #assertWritable(authorship: Authorship): void {
    this.#assertOpen()
    this.#assertMeta(authorship)
    if (this.#gaveUp) throw storeUnavailable(this.documentId)
  }

  #assertOpen(): void {
    if (this.#closedBy !== undefined) throw this.#closedBy
  }
}

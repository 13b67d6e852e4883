import { IdSet, PolyphonyError, type Clock, type Limits, type Logger, type Telemetry } from '@polyphony/core'
import type { EntryMeta, NewEntry } from '@polyphony/storage'
import type { JsonView, JsonViewOptions } from '@polyphony/translator'
import { AwarenessTable } from './awareness.ts'
import { CommitQueue, type QueuedUpdate } from './commit-queue.ts'
import type { CommitSource, Committer } from './committer.ts'
import type { Authorship, EditOutcome } from './document-handle.ts'
import { DocumentLog, type CommittedEntry } from './document-log.ts'
import { Frontier, type Increment } from './frontier.ts'
import { HeldUpdates } from './held-updates.ts'
import { IdempotencyKeys } from './idempotency-keys.ts'
import { ReplicaKeeper } from './replica-keeper.ts'
import { deliveredEntry, type DeliveredEntry, type RoomSession } from './room-session.ts'
import { readUpdate, type ParsedUpdate } from './update-reader.ts'

export interface RoomOptions {
  readonly documentId: string
  readonly committer: Committer
  readonly clock: Clock
  readonly limits: Limits
  readonly logger: Logger
  readonly telemetry: Telemetry
  readonly projection: JsonViewOptions
  /** The Yjs client id of this process, asked for whenever a replica is made. */
  readonly clientId: () => number
  /** Asks for a fresh client id for the whole process, after an edit whose fate is unknown. */
  readonly renewClientId: () => void
  /** Called when the room has become useless: its log was broken by somebody else. */
  readonly onBroken: (error: PolyphonyError) => void
  /** Called after each commit, for checkpoints and for whoever counts bytes. */
  readonly onCommitted: () => void
}

/** What a room starts from. */
export interface RoomState {
  readonly incarnation: string | undefined
  readonly base: Uint8Array
  readonly baseRevision: number
  readonly tail: readonly {
    readonly revision: number
    readonly update: Uint8Array
    readonly meta: EntryMeta
  }[]
}

/**
 * One document on one node. Everything that comes in goes through the same gate: it is checked against what the log
 * already reaches, queued, committed, and only then applied, broadcast and acknowledged, in log order.
 *
 *   receive / submit / edit ─→ frontier (new? known? too early?) ─→ queue ─→ committer ─→ committed ─→ sessions, readers
 *
 * A room has no sockets, clock or randomness of its own.
 */
export class Room implements CommitSource {
  readonly documentId: string
  readonly log = new DocumentLog()
  readonly sessions = new Set<RoomSession>()
  readonly awareness: AwarenessTable
  readonly #options: RoomOptions
  readonly #frontier: Frontier
  readonly #queue: CommitQueue
  readonly #held: HeldUpdates
  readonly #keys = new IdempotencyKeys()
  readonly #replica: ReplicaKeeper
  readonly #advanceListeners = new Set<() => void>()
  readonly #closeListeners = new Set<(error: PolyphonyError) => void>()
  #incarnation: string | undefined
  #closedBy: PolyphonyError | undefined
  #awarenessScheduled = false
  #announced = false
  #measured = { entries: 0, bytes: 0, heldBytes: 0 }

  constructor(options: RoomOptions, state: RoomState) {
    this.documentId = options.documentId
    this.#options = options
    this.#incarnation = state.incarnation
    this.#frontier = new Frontier(options.limits)
    this.#held = new HeldUpdates(options.limits)
    this.awareness = new AwarenessTable(options.limits)
    this.#queue = new CommitQueue(({ author, runId, idempotencyKey }) => ({
      author,
      runId,
      idempotencyKey,
      committedAtMs: options.clock.now(),
    }))
    const base =
      state.base.length > 0 ? this.#frontier.admit(this.#parse(state.base)).fresh?.increment : undefined
    this.log.start(state.baseRevision, state.base, base ?? nothing)
    for (const { revision, update, meta } of state.tail) {
      const { fresh } = this.#frontier.admit(this.#parse(update))
      this.log.append({ revision, update, increment: fresh?.increment ?? nothing })
      this.#keys.remember(meta.idempotencyKey, revision)
    }
    this.#replica = new ReplicaKeeper({
      log: this.log,
      clock: options.clock,
      telemetry: options.telemetry,
      clientId: options.clientId,
      projection: options.projection,
      onImpliedDeletes: (deletes) => {
        this.#frontier.addImpliedDeletes(deletes)
        this.log.addImpliedDeletes(deletes)
      },
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
    return this.#frontier.encodeStateVector()
  }

  /** What a replica with this state vector lacks of the committed state. */
  encodeDiff(stateVector: ReadonlyMap<number, number>, encoded: Uint8Array): readonly Uint8Array[] {
    return this.log.encodeDiff(stateVector, encoded)
  }

  join(session: RoomSession): void {
    this.#assertOpen()
    this.sessions.add(session)
  }

  leave(session: RoomSession): void {
    if (!this.sessions.delete(session)) return
    if (this.awareness.leave(session)) this.#scheduleAwareness()
  }

  /** Takes in an update from a session; the session hears of it by `deliver` or `acknowledge` once it is durable. */
  receive(session: RoomSession, update: Uint8Array, live: boolean): void {
    this.#assertOpen()
    this.#admit(this.#parse(update, live), {
      authorship: session.authorship,
      session,
      committed: () => undefined,
      failed: () => undefined,
    })
  }

  /** Takes in an awareness message of a session. */
  receiveAwareness(session: RoomSession, message: Uint8Array): void {
    if (this.awareness.receive(message, session)) this.#scheduleAwareness()
  }

  /** Runs `task` once everything that is queued by now is durable. */
  whenDurable(task: () => void): void {
    if (!this.#queue.follow({ committed: task, failed: () => undefined })) task()
  }

  /** Notes that a session was dropped because it did not read. */
  noteSlowConsumer(session: RoomSession): void {
    this.#options.telemetry.count('polyphony_errors_total', 1, { face: 'y-websocket', code: 'slow-consumer' })
    this.#options.logger.warn(
      { documentId: this.documentId, author: session.authorship.author },
      'connection dropped: it does not read',
    )
  }

  /** Commits an update that came without a session. */
  async submit(authorship: Authorship, update: Uint8Array): Promise<{ revision: number }> {
    this.#assertOpen()
    const parsed = this.#parse(update, false)
    const revision = await new Promise<number>((committed, failed) =>
      this.#admit(parsed, { authorship, committed, failed }),
    )
    return { revision }
  }

  read<T>(task: (view: JsonView) => T): Promise<T> {
    if (this.#closedBy !== undefined) return Promise.reject(this.#closedBy)
    return this.#replica.read(task)
  }

  /** Plans an edit on the replica and commits it; see `DocumentHandle.edit`. */
  async edit<T>(authorship: Authorship, plan: (view: JsonView) => T): Promise<EditOutcome<T>> {
    this.#assertOpen()
    const earlier = this.#keys.find(authorship.idempotencyKey)
    if (earlier !== undefined) {
      return { revision: await earlier, changed: false, replayed: true }
    }
    const outcome = this.#replica.edit(plan, (change) => {
      this.#assertOpen()
      this.#assertRoomFor(change.update.length)
      const { fresh } = this.#frontier.admit(this.#parse(change.update))
      if (fresh === undefined)
        throw new PolyphonyError('internal', 'A server-made edit added nothing.', {
          documentId: this.documentId,
        })
      return new Promise<number>((committed, failed) => {
        this.#enqueue({ authorship, ...change, committed, failed })
      })
    })
    if (authorship.idempotencyKey !== undefined) {
      void this.#keys.await(
        authorship.idempotencyKey,
        outcome.then(({ revision }) => revision),
      )
    }
    return { ...(await outcome), replayed: false }
  }

  takeEntries(bytesMax: number): readonly NewEntry[] {
    return this.#closedBy === undefined ? this.#queue.take(bytesMax) : []
  }

  committed(_entries: readonly NewEntry[], first: number, incarnation: string): void {
    const groups = this.#queue.settle()
    this.#measureQueue()
    if (this.#closedBy !== undefined) return
    this.#incarnation = incarnation
    this.#announced = false
    groups.forEach(({ entry, increment, members }, index) => {
      const committed: CommittedEntry = { revision: first + index, update: entry.update, increment }
      this.log.append(committed)
      this.#keys.remember(entry.meta.idempotencyKey, committed.revision)
      this.#replica.advance(
        committed,
        members.flatMap(({ madeBy }) => madeBy ?? []),
      )
      this.#broadcast(deliveredEntry(committed))
      for (const member of members) this.#queue.announce(member, committed.revision)
    })
    for (const listener of this.#advanceListeners) listener()
    this.#options.onCommitted()
  }

  commitFailed(_entries: readonly NewEntry[], error: PolyphonyError, failingForMs: number): boolean {
    if (this.#closedBy !== undefined) return false
    if (error.code === 'document-deleted' || error.code === 'incarnation-mismatch') {
      this.close(error)
      this.#options.onBroken(error)
      return false
    }
    if (failingForMs >= this.#options.limits.storeGiveUpMs) this.#giveUp(error)
    return true
  }

  onAdvance(listener: () => void): () => void {
    this.#advanceListeners.add(listener)
    return () => void this.#advanceListeners.delete(listener)
  }

  onClose(listener: (error: PolyphonyError) => void): () => void {
    this.#closeListeners.add(listener)
    return () => void this.#closeListeners.delete(listener)
  }

  /** Ends the room: sessions and readers are told why, and everything that still waits fails with the same error. */
  close(error: PolyphonyError): void {
    if (this.#closedBy !== undefined) return
    this.#closedBy = error
    this.#queue.fail(error)
    this.#held.clear()
    this.#measureQueue()
    this.#replica.close(error)
    for (const session of this.sessions) session.close(error)
    this.sessions.clear()
    for (const listener of this.#closeListeners) listener(error)
    this.#closeListeners.clear()
    this.#advanceListeners.clear()
  }

  #parse(update: Uint8Array, live?: boolean): ParsedUpdate {
    // What comes out of the store, or was made here, has passed the limits before.
    return readUpdate(
      update,
      live === undefined
        ? { ...this.#options.limits, updateStructsMax: Infinity, clockJumpMax: Infinity }
        : this.#options.limits,
      live ?? false,
    )
  }

  #admit(update: ParsedUpdate, from: Origin): void {
    this.#assertRoomFor(update.bytes.length)
    this.#assertNotOurs(update)
    const { fresh, blocked, known } = this.#frontier.admit(update)
    const { authorship, session } = from
    const outcome = fresh !== undefined ? 'committed' : blocked !== undefined ? 'held' : 'empty'
    this.#options.telemetry.count('polyphony_updates_total', 1, { outcome })
    const acknowledge = (revision: number): void => {
      if (session !== undefined && fresh?.update !== update.bytes) session.acknowledge(update.bytes)
      from.committed(revision)
    }
    if (fresh !== undefined) {
      const committed = blocked === undefined ? acknowledge : () => undefined
      this.#enqueue({ authorship, source: session, ...fresh, committed, failed: from.failed })
    }
    if (blocked !== undefined) {
      this.#held.hold({ ...blocked, authorship, committed: acknowledge })
      if (session === undefined) from.failed(this.#missing(blocked.missing))
      else session.requestSync()
    }
    // What an update repeats may still be on its way to the store.
    if (known && !this.#queue.follow({ committed: acknowledge, failed: from.failed }))
      acknowledge(this.revision)
    if (fresh !== undefined) this.#releaseHeld()
  }

  /** Gives held updates another try once what they waited for is there. */
  #releaseHeld(): void {
    for (
      let held = this.#held.take(this.#frontier);
      held !== undefined;
      held = this.#held.take(this.#frontier)
    ) {
      try {
        this.#admit(this.#parse(held.update), { ...held, failed: () => undefined })
      } catch (error) {
        // Whose update let it go is not to blame for it.
        this.#options.logger.warn(
          { documentId: this.documentId, error: String(error) },
          'a held update was refused',
        )
      }
    }
  }

  #missing({ client, clock }: { readonly client: number; readonly clock: number }): PolyphonyError {
    return new PolyphonyError(
      'conflict',
      `The update builds on edits that "${this.documentId}" does not have (client ${client}, clock ${clock}); send those first.`,
      { documentId: this.documentId },
    )
  }

  #enqueue(update: QueuedUpdate): void {
    this.#queue.push(update)
    this.#measureQueue()
    this.#options.committer.notify(this)
  }

  /** Tells the gauges by how much the queue and what is held have grown or shrunk since the last call. */
  #measureQueue(): void {
    const { telemetry } = this.#options
    const now = { entries: this.#queue.length, bytes: this.#queue.bytes, heldBytes: this.#held.bytes }
    telemetry.gauge('polyphony_commit_queue_entries', now.entries - this.#measured.entries)
    telemetry.gauge('polyphony_commit_queue_bytes', now.bytes - this.#measured.bytes)
    telemetry.gauge('polyphony_held_bytes', now.heldBytes - this.#measured.heldBytes)
    this.#measured = now
  }

  #broadcast(entry: DeliveredEntry): void {
    for (const session of this.sessions) session.deliver(entry)
  }

  #scheduleAwareness(): void {
    if (this.#awarenessScheduled) return
    this.#awarenessScheduled = true
    // The more people listen, the longer changes are gathered: each costs one write per listener.
    this.#options.clock.after(5 + this.sessions.size / 10, () => {
      this.#awarenessScheduled = false
      const message = this.awareness.take()
      if (message !== undefined) for (const session of this.sessions) session.deliverAwareness(message)
    })
  }

  /** The store has failed for too long: edits are answered, readers go on from the committed state, retries continue. */
  #giveUp(error: PolyphonyError): void {
    if (this.#announced) return
    this.#announced = true
    const unknown = new PolyphonyError(
      'outcome-unknown',
      `It is not known whether the edit of "${this.documentId}" was stored; read the document before trying again.`,
      { documentId: this.documentId, cause: error },
    )
    if (this.#replica.abandon(unknown)) this.#options.renewClientId()
    this.#options.logger.error(
      { documentId: this.documentId, code: error.code, queuedBytes: this.#queue.bytes },
      'store does not answer; edits are kept and tried again',
    )
  }

  #assertOpen(): void {
    if (this.#closedBy !== undefined) throw this.#closedBy
  }

  #assertRoomFor(bytes: number): void {
    const { queueBytesMax, documentBytesMax } = this.#options.limits
    if (this.#queue.bytes + bytes > queueBytesMax) {
      throw new PolyphonyError(
        'overloaded',
        `Too many edits of "${this.documentId}" wait to be stored; keep yours and come back.`,
        {
          documentId: this.documentId,
          limit: 'queueBytesMax',
        },
      )
    }
    if (this.log.bytes + this.#queue.bytes + bytes > documentBytesMax) {
      throw new PolyphonyError(
        'document-too-large',
        `"${this.documentId}" would exceed ${documentBytesMax} bytes.`,
        {
          documentId: this.documentId,
          limit: 'documentBytesMax',
        },
      )
    }
  }

  /** Nobody else may write under the id of this process: two writers of one id diverge silently. */
  #assertNotOurs(update: ParsedUpdate): void {
    const own = this.#options.clientId()
    const last = update.structs.get(own)?.at(-1)
    if (last !== undefined && last.id.clock + last.length > this.#frontier.clock(own)) {
      throw new PolyphonyError('invalid-update', 'The update extends the Yjs client id of this server.', {
        documentId: this.documentId,
      })
    }
  }
}

const nothing: Increment = { clocks: new Map(), deletes: new IdSet() }

interface Origin {
  readonly authorship: Authorship
  readonly session?: RoomSession | undefined
  readonly committed: (revision: number) => void
  readonly failed: (error: Error) => void
}

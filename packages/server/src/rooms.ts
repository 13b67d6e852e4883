import {
  PolyphonyError,
  parseDocumentId,
  toPolyphonyError,
  Turns,
  type Clock,
  type Limits,
  type Logger,
  type Random,
  type Telemetry,
} from '@polyphony/core'
import {
  documentDeleted,
  isTailLost,
  type DocumentInfo,
  type DocumentStore,
  type Bus,
  type HeadCondition,
  type ListQuery,
  type Unsubscribe,
} from '@polyphony/storage'
import type { JsonViewOptions } from '@polyphony/translator'
import { Checkpointer, type CheckpointPolicy } from './checkpointer.ts'
import { clientIdOf } from './client-id.ts'
import { Committer } from './committer.ts'
import type { Compactor } from './compaction.ts'
import type { DocumentHandle, Documents } from './document-handle.ts'
import { readHistory, type HistoryPage, type HistoryQuery } from './document-history.ts'
import { Room } from './room.ts'
import { PresenceRelay } from './presence-relay.ts'
import { RoomHandle } from './room-handle.ts'
import type { RoomState } from './room-options.ts'
import { readRoomState } from './room-state.ts'
import { ResidentStates } from './resident-states.ts'
import { restoreTail } from './tail-recovery.ts'

export interface RoomsOptions {
  /** A store that is shared with other nodes is followed: rooms apply only what its log brings. */
  readonly store: DocumentStore
  /** Brings presence from other nodes, and takes it to them. */
  readonly bus?: Bus | undefined
  readonly compactor: Compactor
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly logger: Logger
  readonly telemetry: Telemetry
  readonly checkpoints?: CheckpointPolicy | undefined
  /** How a document appears as JSON. */
  readonly projection: (documentId: string) => JsonViewOptions
}

interface OpenRoom {
  readonly room: Room
  /** Handles and sessions that need the room. */
  users: number
  /** Ends what keeps the room together with other nodes. */
  readonly leave: () => void
}

const idleMs = 30_000
/** A room that is unloaded with a longer log than this leaves a checkpoint behind. */
const unloadTailMax = 64

/** The documents that are open on this node: loads them, shares them, and unloads those that nobody needs. */
export class Rooms implements Documents {
  readonly committer: Committer
  readonly #options: RoomsOptions
  readonly #checkpointer: Checkpointer
  readonly #residents: ResidentStates
  readonly #turns: Turns
  readonly #open = new Map<string, OpenRoom>()
  readonly #loading = new Map<string, Promise<OpenRoom>>()
  /** The last of the tasks that must not overlap, for each document that has one. */
  readonly #exclusive = new Map<string, Promise<unknown>>()
  #processId: number
  #closedBy: PolyphonyError | undefined

  constructor(options: RoomsOptions) {
    this.#options = options
    this.committer = new Committer({ ...options, retryMsMax: options.limits.storeRetryMsMax })
    this.#turns = new Turns(options.clock)
    this.#checkpointer = new Checkpointer({ ...options, turns: this.#turns })
    this.#residents = new ResidentStates({ ...options, bytesMax: options.limits.checkpointMemoryBytesMax })
    this.#processId = options.random.uint32()
  }

  get size(): number {
    return this.#open.size
  }

  async open(documentId: string, options: { readonly mustExist?: boolean } = {}): Promise<DocumentHandle> {
    const { room, leave } = await this.enter(documentId)
    if (options.mustExist === true && room.incarnation === undefined && room.isSettled) {
      leave()
      throw new PolyphonyError(
        'document-not-found',
        `There is no document "${documentId}"; it comes into being with the first write.`,
        { documentId },
      )
    }
    return new RoomHandle(room, leave)
  }

  /** Opens a room for a session. Call `leave` once when done. */
  async enter(documentId: string): Promise<{ readonly room: Room; readonly leave: () => void }> {
    parseDocumentId(documentId)
    let open = await this.#load(documentId)
    // It may have been unloaded, to make room for another, just before it got its first user.
    while (this.#open.get(documentId) !== open && !open.room.isClosed) open = await this.#load(documentId)
    if (open.room.closedBy !== undefined) throw open.room.closedBy
    open.users++
    let left = false
    const leave = (): void => {
      if (left) return
      left = true
      open.users--
      if (open.users === 0) this.#scheduleUnload(open)
    }
    return { room: open.room, leave }
  }

  async create(documentId: string): Promise<DocumentInfo> {
    parseDocumentId(documentId)
    return this.#exclusively(documentId, async () => {
      const head = await this.#options.store.create(documentId)
      // Whoever had it open, empty and not stored yet, has another incarnation in mind.
      this.#discard(
        documentId,
        new PolyphonyError('incarnation-mismatch', `"${documentId}" was created anew.`, { documentId }),
      )
      return { documentId, ...head }
    })
  }

  async delete(documentId: string, condition?: HeadCondition): Promise<void> {
    parseDocumentId(documentId)
    await this.#exclusively(documentId, async () => {
      await this.#options.store.delete(documentId, condition)
      const error = documentDeleted(documentId)
      this.#discard(documentId, error, error)
    })
    this.#options.logger.info({ documentId }, 'document deleted')
  }

  /** Rejects while the store does not take what is to be written. */
  async checkReady(): Promise<void> {
    if (this.#closedBy !== undefined) throw this.#closedBy
    if (this.committer.failing)
      throw new PolyphonyError(
        'store-failed',
        'The store does not take edits; they are kept and tried again.',
      )
    await this.#options.store.head('polyphony:ready')
  }

  list(query?: ListQuery): AsyncIterable<DocumentInfo> {
    return this.#options.store.list(query)
  }

  async history(documentId: string, query: HistoryQuery): Promise<HistoryPage> {
    return readHistory(this.#options.store, parseDocumentId(documentId), query)
  }

  /** Stores what waits, for at most `deadlineMs`, then ends every room. Resolves with whether everything was stored. */
  async close(deadlineMs: number): Promise<boolean> {
    const { clock, compactor } = this.#options
    let cancel = (): void => undefined
    const deadline = new Promise<false>((resolve) => {
      cancel = clock.after(deadlineMs, () => resolve(false))
    })
    const stored = await Promise.race([this.committer.drain().then(() => true as const), deadline])
    cancel()
    this.#closedBy = new PolyphonyError(
      'shutting-down',
      'The server is shutting down; come back in a moment.',
    )
    for (const { room, leave } of this.#open.values()) {
      room.close(this.#closedBy)
      leave()
    }
    this.#open.clear()
    await compactor.close()
    return stored
  }

  async #load(documentId: string): Promise<OpenRoom> {
    if (this.#closedBy !== undefined) throw this.#closedBy
    const open = this.#open.get(documentId)
    if (open !== undefined) return open
    const loading = this.#loading.get(documentId)
    if (loading !== undefined) return loading
    this.#makeRoom()
    const loaded = this.#exclusively(documentId, () => this.#create(documentId)).finally(() =>
      this.#loading.delete(documentId),
    )
    this.#loading.set(documentId, loaded)
    return loaded
  }

  async #create(documentId: string): Promise<OpenRoom> {
    const { logger, telemetry } = this.#options
    const startedAt = performance.now()
    const { room, leave } = await this.#join(documentId)
    const open: OpenRoom = { room, users: 0, leave }
    this.#open.set(documentId, open)
    telemetry.gauge('polyphony_rooms', 1)
    telemetry.observe('polyphony_room_load_duration_ms', performance.now() - startedAt)
    logger.debug({ documentId, revision: room.revision, bytes: room.log.bytes }, 'room opened')
    return open
  }

  /** Reads a document and, if other nodes write it too, follows its log from there on. */
  async #join(documentId: string): Promise<Pick<OpenRoom, 'room' | 'leave'>> {
    const { store, bus } = this.#options
    for (let tries = 1; ; tries++) {
      const state = await readRoomState(store, documentId)
      if (this.#closedBy !== undefined) throw this.#closedBy
      const presence =
        bus === undefined ? undefined : new PresenceRelay({ ...this.#options, bus, documentId })
      const room = await this.#make(documentId, state, presence)
      try {
        const unsubscribe = await this.#follow(room)
        await presence?.start(room)
        const leave = (): void => {
          presence?.stop()
          this.#ending(documentId, unsubscribe?.())
        }
        if (this.#closedBy === undefined && !room.isClosed) return { room, leave }
        leave()
        throw room.closedBy ?? this.#closedBy
      } catch (error) {
        const problem = toPolyphonyError(error, 'store-failed', { documentId })
        room.close(problem)
        // Between reading and following, others went on and removed what they had written.
        const isOvertaken = problem.code === 'revision-expired' || problem.code === 'incarnation-mismatch'
        if (!isOvertaken || tries === 3) throw problem
      }
    }
  }

  /** On a shared store: has the room hear of every entry above those that it has. */
  async #follow(room: Room): Promise<Unsubscribe | undefined> {
    const { documentId, incarnation } = room
    return this.#options.store.subscribe?.(
      documentId,
      room.revision,
      (entries, entriesIncarnation) => room.receiveCommitted(entries, entriesIncarnation),
      {
        incarnation,
        ended: (reason) => {
          if (this.#open.get(documentId)?.room === room) this.#discard(documentId, reason)
          else room.close(reason)
        },
      },
    )
  }

  async #make(documentId: string, state: RoomState, presence: PresenceRelay | undefined): Promise<Room> {
    const { store, projection, logger } = this.#options
    const room: Room = await Room.open(
      {
        ...this.#options,
        documentId,
        residents: this.#residents,
        turns: this.#turns,
        committer: this.committer,
        projection: projection(documentId),
        isShared: store.subscribe !== undefined,
        relayAwareness: presence === undefined ? undefined : (message) => presence.send(message),
        clientId: (incarnation) => clientIdOf(this.#processId, incarnation),
        renewClientId: () => {
          this.#processId = this.#options.random.uint32()
        },
        onBroken: (error) => {
          logger.warn({ documentId, code: error.code }, 'room closed: its log was ended by somebody else')
          if (this.#open.get(documentId)?.room === room) this.#discard(documentId, error)
        },
        onCommitted: () => this.#checkpointer.consider(room),
      },
      state,
    )
    return room
  }

  /** Unloads what nobody uses when the node is full. */
  #makeRoom(): void {
    const { openDocumentsMax } = this.#options.limits
    if (this.#open.size + this.#loading.size < openDocumentsMax) return
    for (const [documentId, { room, users }] of this.#open) {
      if (users > 0 || !room.isSettled) continue
      this.#forget(documentId)
      if (this.#open.size < openDocumentsMax) return
    }
    throw new PolyphonyError(
      'too-many-documents',
      `This node has ${this.#open.size} documents open, which is the limit.`,
      { limit: 'openDocumentsMax' },
    )
  }

  #scheduleUnload(open: OpenRoom): void {
    this.#options.clock.after(idleMs, () => {
      if (open.users > 0 || this.#open.get(open.room.documentId) !== open) return
      // A document with unsaved edits is never unloaded.
      if (!open.room.isSettled) this.#scheduleUnload(open)
      else void this.#unload(open)
    })
  }

  async #unload(open: OpenRoom): Promise<void> {
    const { room } = open
    if (room.log.tail.length > unloadTailMax) await this.#checkpointer.checkpoint(room)
    if (open.users > 0 || !room.isSettled || this.#open.get(room.documentId) !== open) return
    this.#forget(room.documentId)
  }

  #forget(documentId: string): void {
    const open = this.#open.get(documentId)
    if (open === undefined) return
    this.#open.delete(documentId)
    this.#options.telemetry.gauge('polyphony_rooms', -1)
    open.room.base.release()
    open.leave()
  }

  /** A subscription that cannot be ended properly ends with its connection. */
  #ending(documentId: string, ended: Promise<void> | undefined): void {
    ended?.catch((error: unknown) =>
      this.#options.logger.warn({ documentId, error: String(error) }, 'subscription not ended'),
    )
  }

  /** Closes a room whose document has no future. What is being stored just now ends before the next room begins. */
  #discard(documentId: string, error: PolyphonyError, inFlight?: PolyphonyError): void {
    const open = this.#open.get(documentId)
    if (open === undefined) return
    this.#forget(documentId)
    open.room.close(error, inFlight)
    void this.#exclusively(documentId, () => this.committer.settled(open.room))
    if (isTailLost(error)) void this.#restoreTail(open.room)
  }

  async #restoreTail(lost: Room): Promise<void> {
    const { documentId } = lost
    try {
      const { room, leave } = await this.enter(documentId)
      await restoreTail(lost, room).finally(leave)
      this.#options.logger.warn(
        { documentId, revision: room.revision },
        'entries that the store had lost are back',
      )
    } catch (error) {
      // Clients that hold them send them again.
      this.#options.logger.error(
        { documentId, error: String(error) },
        'entries that the store has lost are not back',
      )
    }
  }

  /** Loading, creating and deleting one document happen one after another. */
  #exclusively<T>(documentId: string, task: () => Promise<T>): Promise<T> {
    const before = this.#exclusive.get(documentId) ?? Promise.resolve()
    const result = before.then(task)
    const done = result.then(
      () => undefined,
      () => undefined,
    )
    this.#exclusive.set(documentId, done)
    void done.then(() => {
      if (this.#exclusive.get(documentId) === done) this.#exclusive.delete(documentId)
    })
    return result
  }
}

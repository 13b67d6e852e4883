import { IdSet, PolyphonyError, toPolyphonyError, type Limits, type Telemetry } from '@polyphony/core'
import type { CommitQueue, QueuedUpdate } from './commit-queue.ts'
import type { Authorship } from './document-handle.ts'
import type { DocumentLog } from './document-log.ts'
import { Frontier, type Increment } from './frontier.ts'
import { HeldUpdates } from './held-updates.ts'
import type { ReplicaChange } from './replica-keeper.ts'
import type { RoomSession } from './room-session.ts'
import { readUpdate, type ParsedUpdate } from './update-reader.ts'

export interface IntakeOptions {
  readonly documentId: string
  readonly limits: Limits
  readonly telemetry: Telemetry
  readonly log: DocumentLog
  readonly queue: CommitQueue
  /** The Yjs client ids that only replicas of this document may write under. */
  readonly ownClientIds: () => Iterable<number>
  /** Called after something was put into the queue. */
  readonly onQueued: () => void
}

/** Whom an update comes from, and who wants to hear what becomes of it. */
export interface Origin {
  readonly authorship: Authorship
  readonly session?: RoomSession | undefined
  /** Whether the session is asked for what the update builds on. */
  readonly asksForMissing?: boolean | undefined
  /** How often the update was held before. */
  readonly tries?: number | undefined
  readonly committed: (revision: number) => void
  readonly failed: (error: Error) => void
  /** Hears when a held update is refused, long after it came. */
  readonly refused?: ((error: PolyphonyError) => void) | undefined
}

/**
 * The gate of a document: everything that comes in is compared with what the log reaches. What is new is queued, what is
 * known is acknowledged once it is durable, what comes too early is held.
 */
export class Intake {
  readonly #options: IntakeOptions
  readonly #frontier: Frontier
  readonly #held: HeldUpdates

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#frontier = new Frontier(options.limits)
    this.#held = new HeldUpdates(options.limits)
  }

  /** Bytes of updates that came too early. */
  get heldBytes(): number {
    return this.#held.bytes
  }

  /** The state vector of everything that is committed or on its way to be. */
  encodeStateVector(): Uint8Array {
    return this.#frontier.encodeStateVector()
  }

  addImpliedDeletes(deletes: IdSet): void {
    this.#frontier.addImpliedDeletes(deletes)
  }

  /** Takes in what the log holds already. */
  load(update: Uint8Array): Increment {
    if (update.length === 0) return nothing
    return this.#frontier.admit(this.#parseStored(update), 'log').fresh?.increment ?? nothing
  }

  /** Takes in an entry of the log that others may have written; gives what it adds to the log. */
  takeCommitted(bytes: Uint8Array): Increment {
    const update = this.#parseStored(bytes)
    const { fresh } = this.#frontier.admit(update, 'log')
    if (fresh !== undefined) this.#releaseHeld()
    return this.#options.log.incrementOf(update)
  }

  /** Takes in what somebody sent; throws when it is refused, and then nothing has changed. */
  receive(bytes: Uint8Array, live: boolean, from: Origin): void {
    this.#admit(readUpdate(bytes, this.#options.limits, live), from)
  }

  /**
   * Queues what a replica of this document made; throws when there is no room for it, and then nothing has changed.
   * Returns false when it does not fit the log, which is a defect.
   */
  receiveEdit(
    change: ReplicaChange,
    queued: Pick<QueuedUpdate, 'authorship' | 'committed' | 'failed'>,
  ): boolean {
    this.assertRoomFor(change.update.length)
    // It may be thrown out again. Until it is in the log, nobody knows what it brings, so nothing can build on it.
    if (change.batch !== undefined) {
      this.#enqueue({ ...change, ...queued })
      return true
    }
    const update = this.#parseOwn(change.update)
    const { fresh, blocked } = this.#frontier.admit(update)
    // What it deletes may be on its way to be deleted by others, but nobody else writes under the replica's client id.
    if (blocked !== undefined || (fresh === undefined && update.structs.size > 0)) return false
    this.#enqueue({ ...change, ...queued })
    return true
  }

  /** Forgets what is held. */
  clear(): void {
    this.#held.clear()
  }

  /** Throws `overloaded` or `document-too-large` when so many bytes more would be too many. */
  assertRoomFor(bytes: number): void {
    this.#assertQueueTakes(bytes)
    this.#assertDocumentTakes(bytes)
  }

  #assertQueueTakes(bytes: number): void {
    const { documentId, queue, limits } = this.#options
    const { queueBytesMax } = limits
    const waiting = queue.bytes + queue.length * queuedOverheadBytes
    // What is larger than the whole queue may be has to wait until nothing else does.
    if (waiting > 0 && waiting + bytes > queueBytesMax) {
      throw new PolyphonyError(
        'overloaded',
        `Too many edits of "${documentId}" wait to be stored; keep yours and come back.`,
        { documentId, limit: 'queueBytesMax' },
      )
    }
  }

  #assertDocumentTakes(bytes: number): void {
    const { documentId, log, queue, limits } = this.#options
    const { documentBytesMax } = limits
    if (log.bytes + queue.bytes + bytes > documentBytesMax) {
      throw new PolyphonyError(
        'document-too-large',
        `"${documentId}" would exceed ${documentBytesMax} bytes.`,
        { documentId, limit: 'documentBytesMax' },
      )
    }
  }

  #admit(update: ParsedUpdate, from: Origin): void {
    const { queue, telemetry, log } = this.#options
    this.#assertQueueTakes(update.bytes.length)
    // Who only reads a full document repeats what is there at each connection.
    if (this.#frontier.hasNews(update)) this.#assertDocumentTakes(update.bytes.length)
    this.#assertNotOurs(update)
    const { fresh, blocked, known } = this.#frontier.admit(update)
    const { authorship, session } = from
    const outcome = fresh !== undefined ? 'committed' : blocked !== undefined ? 'held' : 'empty'
    telemetry.count('polyphony_updates_total', 1, { outcome })
    const acknowledge = (revision: number): void => {
      if (fresh?.update !== update.bytes) session?.acknowledge(update.bytes)
      from.committed(revision)
    }
    if (fresh !== undefined) {
      const committed = blocked === undefined ? acknowledge : () => undefined
      this.#enqueue({ authorship, source: session, ...fresh, committed, failed: from.failed })
    }
    if (blocked !== undefined) this.#hold(update, blocked, from, acknowledge)
    // What an update repeats may still be on its way to the store.
    if (known && !queue.follow({ committed: acknowledge, failed: from.failed }, update.bytes.length))
      acknowledge(log.revision)
    if (fresh !== undefined) this.#releaseHeld()
  }

  #hold(
    { bytes }: ParsedUpdate,
    blocked: {
      readonly update: Uint8Array
      readonly missing: { readonly client: number; readonly clock: number }
    },
    from: Origin,
    committed: (revision: number) => void,
  ): void {
    const { authorship, session, tries = 0, refused } = from
    if (session === undefined && refused === undefined) {
      from.failed(this.#missing(blocked.missing))
      return
    }
    this.#held.hold({
      ...blocked,
      authorship,
      committed,
      refused: refused ?? (() => undefined),
      // The acknowledgement keeps the whole update in memory.
      bytes: blocked.update.length + bytes.length,
      tries: tries + 1,
    })
    // A step 2 is all that its sender has, so asking again would bring the same.
    if (from.asksForMissing === true) session?.requestSync()
  }

  /** Gives held updates another try once what they waited for is there. */
  #releaseHeld(): void {
    const frontier = this.#frontier
    for (let held = this.#held.take(frontier); held !== undefined; held = this.#held.take(frontier)) {
      try {
        this.#admit(this.#parseOwn(held.update), { ...held, failed: () => undefined })
      } catch (error) {
        // Whose update let it go is not to blame for it.
        held.refused(toPolyphonyError(error))
      }
    }
  }

  /** What comes out of the store, or was made or checked here, has passed the limits before. */
  #parseOwn(update: Uint8Array): ParsedUpdate {
    return readUpdate(
      update,
      { ...this.#options.limits, updateStructsMax: Infinity, clockJumpMax: Infinity },
      false,
    )
  }

  #parseStored(update: Uint8Array): ParsedUpdate {
    try {
      return this.#parseOwn(update)
    } catch (cause) {
      const { documentId } = this.#options
      throw new PolyphonyError(
        'store-corrupt',
        `What is stored of "${documentId}" is not a Yjs update. Either it is damaged, or the wrappers are not around the ` +
          'store that it was written through (compressed, encrypted).',
        { documentId, cause },
      )
    }
  }

  #enqueue(update: QueuedUpdate): void {
    this.#options.queue.push(update)
    this.#options.onQueued()
  }

  /** Nobody else may write under an id of this server: two writers of one id diverge silently. */
  #assertNotOurs(update: ParsedUpdate): void {
    const { documentId, ownClientIds } = this.#options
    for (const own of ownClientIds()) {
      const last = update.structs.get(own)?.at(-1)
      if (last !== undefined && last.id.clock + last.length > this.#frontier.clock(own))
        throw new PolyphonyError('invalid-update', 'The update extends the Yjs client id of this server.', {
          documentId,
        })
    }
  }

  #missing({ client, clock }: { readonly client: number; readonly clock: number }): PolyphonyError {
    const { documentId } = this.#options
    return new PolyphonyError(
      'conflict',
      `The update builds on edits that "${documentId}" does not have (client ${client}, clock ${clock}); send those first.`,
      { documentId },
    )
  }
}

const nothing: Increment = { clocks: new Map(), deletes: new IdSet() }

/** About what an entry of the queue costs besides its bytes. */
const queuedOverheadBytes = 256

import type { Turns } from '@polyphony/core'
import type { BaseState } from './base-state.ts'
import type { DocumentLog } from './document-log.ts'
import { LogPiece, type Clocks } from './log-piece.ts'
import { encodeSyncUpdate } from './room-session.ts'
import { isEmptyUpdate } from './update-writer.ts'

export interface JoinStreamOptions {
  readonly log: DocumentLog
  readonly turns: Turns
  /** Brings the bytes of the checkpoint back into memory. */
  readonly loadBase: () => Promise<void>
  /** What the client has. */
  readonly has: Clocks
  /** Sends a message; `written` is called once the socket has room for more. */
  readonly send: (message: Uint8Array, written?: () => void) => void
  /** Everything up to the newest revision of the log was sent. */
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** What is sent at a stretch; the next piece follows when the socket has written it, so that one piece waits at a time. */
const stretchBytesMax = 256 << 10

/**
 * Sends a client what it lacks, piece by piece, as fast as it reads: the checkpoint, the log above it, and everything that
 * is deleted. A small document goes at once. What is committed meanwhile is part of the log when its turn comes, so the
 * client must not be sent it on any other way; when the log is rebased under the stream, the stream goes on with what the
 * client lacks of the new one.
 */
export class JoinStream {
  readonly #options: JoinStreamOptions
  /** What the client has once it has read everything that was sent. */
  readonly #has: Map<number, number>
  /** The client was not sent all the bytes, so it may lack deletions that it was not told of. */
  #isPartial = false
  #base: BaseState | undefined
  /** What of this base and the log above it comes next. */
  #pieces: Iterator<LogPiece> = [].values()
  /** The pieces that were handed out reach up to this revision. */
  #revision = 0
  #isOver = false

  constructor(options: JoinStreamOptions) {
    this.#options = options
    this.#has = new Map(options.has)
  }

  start(): void {
    this.#isPartial = this.#options.log.isCoveredBy(this.#has)
    if (this.#isPartial) this.#finish()
    else this.#continue()
  }

  /** Sends nothing any more and tells nobody. */
  cancel(): void {
    this.#isOver = true
  }

  #continue(): void {
    const { send, turns } = this.#options
    try {
      for (let sentBytes = 0; !this.#isOver;) {
        if (this.#options.log.base.pieces === undefined) return this.#load()
        const piece = this.#nextPiece()
        if (piece === undefined) return this.#finish()
        const message = this.#messageOf(piece)
        if (message === undefined) continue
        sentBytes += message.length
        // A fast socket says so before anybody else gets a turn.
        if (sentBytes > stretchBytesMax) return send(message, () => turns.next(() => this.#continue()))
        send(message)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #nextPiece(): LogPiece | undefined {
    const { log } = this.#options
    const { base } = log
    if (this.#base !== base) {
      this.#base = base
      this.#pieces = piecesOf(base.pieces ?? [], log)
    }
    const next = this.#pieces.next()
    if (next.done !== true) {
      this.#revision = log.revision
      return next.value
    }
    // What came in since the last piece was handed out.
    const late = log.tail.filter(({ revision }) => revision > this.#revision)
    this.#revision = log.revision
    this.#pieces = late.map(({ update, increment }) => new LogPiece(update, increment.clocks)).values()
    return late.length === 0 ? undefined : this.#nextPiece()
  }

  #messageOf(piece: LogPiece): Uint8Array | undefined {
    const update = piece.missing(this.#has)
    if (update !== piece.update) this.#isPartial = true
    for (const [client, end] of piece.clocks)
      if ((this.#has.get(client) ?? 0) < end) this.#has.set(client, end)
    if (update === undefined) return undefined
    return update === piece.update ? piece.message : encodeSyncUpdate(update)
  }

  #load(): void {
    this.#options.loadBase().then(
      () => this.#continue(),
      (error: unknown) => this.#fail(error),
    )
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    const { log, send, done } = this.#options
    const deletes = log.encodeDeletes()
    if (this.#isPartial && !isEmptyUpdate(deletes)) send(encodeSyncUpdate(deletes))
    done()
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.failed(error)
  }
}

function* piecesOf(base: readonly LogPiece[], log: DocumentLog): Generator<LogPiece> {
  yield* base
  yield* log.tailPieces()
}

import type { Clocks, LogPiece } from './log-piece.ts'

/**
 * The newest checkpoint of a document as a room knows it: the updates that it consists of, to be taken in one by one. Its
 * bytes may be let go of, and are then read from the store again.
 */
export class BaseState {
  readonly revision: number
  readonly bytes: number
  /** End clocks of each piece, which are known also when its bytes are not there. */
  readonly clocks: readonly Clocks[]
  #pieces: readonly LogPiece[] | undefined

  constructor(revision: number, pieces: readonly LogPiece[]) {
    this.revision = revision
    this.bytes = bytesOf(pieces)
    this.clocks = pieces.map(({ clocks }) => clocks)
    this.#pieces = pieces
  }

  /** The pieces, unless their bytes were let go of. */
  get pieces(): readonly LogPiece[] | undefined {
    return this.#pieces
  }

  /** Lets go of the bytes. Whoever is sending them keeps what is left to send. */
  drop(): void {
    if (this.bytes > 0) this.#pieces = undefined
  }

  /** Takes the bytes back. False when these are others. */
  refill(pieces: readonly LogPiece[]): boolean {
    if (pieces.length !== this.clocks.length || bytesOf(pieces) !== this.bytes) return false
    this.#pieces = pieces
    return true
  }
}

function bytesOf(pieces: readonly LogPiece[]): number {
  return pieces.reduce((bytes, { update }) => bytes + update.length, 0)
}

import * as Y from 'yjs'
import { encodeSyncUpdate } from './room-session.ts'
import { isEmptyUpdate } from './update-writer.ts'

/** Per client, a clock: the end of what an update brings, or of what a replica has. */
export type Clocks = ReadonlyMap<number, number>

/** A stretch of a document's log as one update, kept as the very message that everybody who joins is sent. */
export class LogPiece {
  readonly message: Uint8Array
  /** Shares its bytes with the message. */
  readonly update: Uint8Array
  /** End clock of each client that the update advances. */
  readonly clocks: Clocks

  constructor(update: Uint8Array, clocks: Clocks) {
    this.message = encodeSyncUpdate(update)
    this.update = this.message.subarray(this.message.length - update.length)
    this.clocks = clocks
  }

  /**
   * What a replica with these clocks lacks, deletions apart: the very bytes when it lacks all of it, `undefined` when it
   * lacks none. O(structs) when it has a part.
   */
  missing(has: Clocks): Uint8Array | undefined {
    if (isEmptyUpdate(this.update)) return undefined
    if (has.size === 0) return this.update
    if (isCovered(this.clocks, has)) return undefined
    for (const client of this.clocks.keys())
      if (has.has(client)) return Y.diffUpdate(this.update, Y.encodeStateVector(new Map(has)))
    return this.update
  }
}

/** Whether whoever has `has` lacks nothing of `clocks`. */
export function isCovered(clocks: Clocks, has: Clocks): boolean {
  for (const [client, end] of clocks) if ((has.get(client) ?? 0) < end) return false
  return true
}

import { IdSet } from '@polyphony/core'
import * as Y from 'yjs'
import { updateIds } from './update-ids.ts'

/** Which ids a log holds. */
export class StoredIds {
  readonly #inserted = new IdSet()
  readonly #deleted = new IdSet()

  /** An update of the log. O(its structs). */
  note(update: Uint8Array): void {
    const { inserted, deleted } = updateIds(update)
    this.#inserted.addAll(inserted)
    this.#deleted.addAll(deleted)
  }

  /** Encoded: for each client, the clock up to which nothing is missing. */
  stateVector(): Uint8Array {
    const clocks = new Map<number, number>()
    for (const client of this.#inserted.clients()) {
      const [first] = this.#inserted.ranges(client)
      if (first?.clock === 0) clocks.set(client, first.length)
    }
    return Y.encodeStateVector(clocks)
  }

  /** Whether an update has anything that the log has not. */
  lack(update: Uint8Array): boolean {
    const { inserted, deleted } = updateIds(update)
    return hasMore(inserted, this.#inserted) || hasMore(deleted, this.#deleted)
  }
}

function hasMore(ids: IdSet, known: IdSet): boolean {
  for (const { client, clock, length } of ids.entries()) if (!known.covers(client, clock, length)) return true
  return false
}

import { IdSet } from '@polyphony/core'
import * as Y from 'yjs'
import { updateIds } from './update-ids.ts'

/**
 * The edits of a document that the server is not known to have committed: which ids they insert and delete, and the
 * updates that carry them. Every id leaves only when the server has shown that it has it, so "nothing is pending" is
 * never said too early.
 */
export class PendingEdits {
  #inserted = new IdSet()
  #deleted = new IdSet()
  /** Sizes at least halve from one to the next, so that merging costs O(n log n) for any number of edits. */
  #updates: Uint8Array[] = []
  #units = 0

  /** Inserted and deleted units: characters, elements, members. */
  get units(): number {
    return this.#units
  }

  get isEmpty(): boolean {
    return this.#units === 0
  }

  /** An edit that the server may not have. O(its structs). */
  add(update: Uint8Array): void {
    const { inserted, deleted } = updateIds(update)
    this.#inserted.addAll(inserted)
    this.#deleted.addAll(deleted)
    this.#measure()
    if (this.isEmpty) return
    this.#updates.push(update)
    while (isLopsided(this.#updates)) this.#updates.push(Y.mergeUpdates(this.#updates.splice(-2)))
  }

  /** The server has sent this update, so it has committed what is in it. */
  confirm(update: Uint8Array): void {
    if (this.isEmpty) return
    const { inserted, deleted } = updateIds(update)
    this.#inserted = without(this.#inserted, inserted)
    this.#deleted = without(this.#deleted, deleted)
    this.#measure()
  }

  /** The server has committed everything below these clocks; nothing is said about deletions. */
  confirmClocks(clocks: ReadonlyMap<number, number>): void {
    if (this.isEmpty) return
    const inserted = new IdSet()
    for (const [client, clock] of clocks) inserted.add(client, 0, clock)
    this.#inserted = without(this.#inserted, inserted)
    this.#measure()
  }

  clear(): void {
    this.#inserted = new IdSet()
    this.#deleted = new IdSet()
    this.#measure()
  }

  /** One update with at least everything that is pending; undefined when nothing is. */
  toUpdate(): Uint8Array | undefined {
    if (this.#updates.length > 1) this.#updates = [Y.mergeUpdates(this.#updates)]
    return this.#updates[0]
  }

  #measure(): void {
    this.#units = 0
    for (const ids of [this.#inserted, this.#deleted])
      for (const { length } of ids.entries()) this.#units += length
    if (this.isEmpty) this.#updates = []
  }
}

function isLopsided(updates: readonly Uint8Array[]): boolean {
  const [before, last] = updates.slice(-2)
  return before !== undefined && last !== undefined && before.length < 2 * last.length
}

function without(ids: IdSet, removed: IdSet): IdSet {
  const rest = new IdSet()
  for (const { client, clock, length } of ids.entries())
    for (const gap of removed.missing(client, clock, length)) rest.add(client, gap.clock, gap.length)
  return rest
}

import { IdSet, type Clock } from '@polyphony/core'
import * as Y from 'yjs'
import type { LogRevision, RevisionLog } from './revision-log.ts'
import { Version } from './version.ts'
import { structsOf } from './yjs.ts'

/** How far back versions are retained; whichever bound is hit first. */
export interface RetainOptions {
  readonly versions?: number | undefined
  readonly ms?: number | undefined
  /** Estimated bytes of what was written and deleted since. */
  readonly bytes?: number | undefined
}

const versionsDefault = 1_000

/** Revisions that leave the window before what they deleted is collected: a collection is a transaction of its own. */
const batch = 8

/** The origin of the transactions that collect. They change nothing that anybody sees. */
export const collectOrigin = Symbol('polyphony.collect')

/**
 * Moves the window of retained versions along. In a document with `gc: false`, it also does what Yjs then leaves
 * undone: it drops the content of what was deleted before the window. Deletions that an undo manager still holds are
 * left until it lets go of them.
 */
export class Retention {
  readonly #doc: Y.Doc
  readonly #log: RevisionLog
  readonly #options: RetainOptions | undefined
  readonly #clock: Clock
  /** What left the window and may still have content. */
  readonly #left: LogRevision[] = []
  #held: IdSet

  constructor(doc: Y.Doc, log: RevisionLog, options: RetainOptions | undefined, clock: Clock) {
    this.#doc = doc
    this.#log = log
    this.#options = options
    this.#clock = clock
    this.#held = new IdSet()
    if (this.#collects) this.#held.addAll(log.deletedEver)
  }

  get #collects(): boolean {
    return this.#options !== undefined && !this.#doc.gc
  }

  /** Lets go of the versions that are too old by now. O(revisions that leave), plus the collection of what they deleted. */
  trim(): void {
    const dropped = this.#log.trim(this.#oldestWanted())
    if (!this.#collects) return
    this.#left.push(...dropped)
    if (this.#left.length >= batch) this.collect()
  }

  /** Collects what left the window. O(what was written and deleted in it). */
  collect(): void {
    if (!this.#collects || (this.#left.length === 0 && this.#held.isEmpty)) return
    const ids = this.#held
    for (const revision of this.#left.splice(0)) this.#addGarbage(revision, ids)
    this.#held = new IdSet()
    if (ids.isEmpty) return
    const garbage = Y.createDeleteSet()
    for (const client of ids.clients())
      garbage.clients.set(
        client,
        [...ids.ranges(client)].map(({ clock, length }) => ({ clock, len: length })),
      )
    this.#doc.transact((transaction) => {
      // Deleted neighbours merge, whenever they were deleted. This cuts them apart again, so that only what left the
      // window goes; they merge anew at the end of this very transaction.
      Y.iterateDeletedStructs(transaction, garbage, (struct) => {
        if (struct instanceof Y.Item && struct.keep)
          this.#held.add(struct.id.client, struct.id.clock, struct.length)
      })
      Y.tryGc(garbage, this.#doc.store, this.#doc.gcFilter)
    }, collectOrigin)
  }

  #oldestWanted(): number {
    const { versions = versionsDefault, ms, bytes } = this.#options ?? {}
    const log = this.#log
    let oldest = Math.max(log.oldest, log.revision - versions)
    if (ms !== undefined) {
      const limit = this.#clock.now() - ms
      for (const entry of log.entries) {
        if (entry.atMs >= limit) break
        oldest = Math.max(oldest, entry.revision)
      }
    }
    if (bytes !== undefined) {
      let excess = log.bytes - bytes
      for (const entry of log.entries) {
        if (excess <= 0) break
        excess -= entry.bytes
        oldest = Math.max(oldest, entry.revision)
      }
    }
    return oldest
  }

  /**
   * What no retained version shows because of this revision: what it deleted, and what lost its map key to it. The
   * latter is in no delete set when two wrote the key at once.
   */
  #addGarbage({ clocks, deletes }: LogRevision, ids: IdSet): void {
    ids.addAll(deletes)
    const oldest = this.#log.moment(new Version(this.#log.oldest), this.#doc, false)
    for (const [client, [start, end]] of clocks) {
      const structs = structsOf(this.#doc, client)
      for (let i = Y.findIndexSS(structs as Y.Item[], start); i < structs.length; i++) {
        const struct = structs[i]
        if (struct === undefined || struct.id.clock >= end) break
        if (!(struct instanceof Y.Item) || struct.parentSub === null) continue
        const { right } = struct
        const lost = struct.deleted && right !== null && oldest.knows(right.id.client, right.id.clock)
        for (
          let item: Y.Item | null = lost ? struct : struct.left;
          item !== null && !(item.content instanceof Y.ContentDeleted);
          item = item.left
        )
          ids.add(item.id.client, item.id.clock, item.length)
      }
    }
  }
}

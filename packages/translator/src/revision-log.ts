import { IdSet, PolyphonyError, assert } from '@polyphony/core'
import * as Y from 'yjs'
import { Moment, live, noIds } from './moment.ts'
import type { OwnEdits, Version } from './version.ts'

export interface RevisionLogOptions {
  /** The revision of the state that the log starts from. Default 0, the empty document. */
  readonly revision?: number | undefined
  /** The state vector at that revision. */
  readonly stateVector?: ReadonlyMap<number, number> | undefined
  /**
   * Everything that was deleted at that revision. When it is missing, the first `JsonView` that uses the log takes what
   * its document says at that time, without what is recorded: create the view before applying anything newer.
   */
  readonly deletes?: IdSet | undefined
}

/** What one revision added: per client the clocks from start to end, and what it deleted for the first time. */
export interface LogRevision {
  readonly revision: number
  readonly clocks: ReadonlyMap<number, readonly [start: number, end: number]>
  readonly deletes: IdSet
  readonly atMs: number
  /** Estimated: what was written and what was deleted, one byte per unit, and the records of it. */
  readonly bytes: number
}

/**
 * The increments of a document, revision by revision: enough to tell, for every revision that is retained, what its
 * readers saw. It holds clock and id ranges only, never content. Feed it one `record` per committed entry, after the
 * entry was applied to the document; it can be rebuilt at any time by replaying the entries of a log.
 */
export class RevisionLog {
  readonly #clocks: Map<number, number>
  readonly #deletedEver = new IdSet()
  readonly #listeners = new Set<() => void>()
  readonly #moments = new Map<number, Moment>()
  #entries: LogRevision[] = []
  #bytes = 0
  #revision: number
  #oldest: number
  #hasBase: boolean

  constructor(options: RevisionLogOptions = {}) {
    this.#revision = options.revision ?? 0
    this.#oldest = this.#revision
    this.#clocks = new Map(options.stateVector)
    this.#hasBase = options.deletes !== undefined || this.#clocks.size === 0
    if (options.deletes !== undefined) this.#deletedEver.addAll(options.deletes)
  }

  /** A log that starts from what a document holds now. O(structs). */
  static startingAt(revision: number, doc: Y.Doc): RevisionLog {
    return new RevisionLog({ revision, stateVector: stateOf(doc), deletes: deletesOf(doc) })
  }

  /** The newest recorded revision. */
  get revision(): number {
    return this.#revision
  }

  /** The first revision that can still be diffed from. */
  get oldest(): number {
    return this.#oldest
  }

  /** Clocks recorded so far, per client. */
  get clocks(): ReadonlyMap<number, number> {
    return this.#clocks
  }

  /** Everything deleted so far, as far as it was recorded. */
  get deletedEver(): IdSet {
    return this.#deletedEver
  }

  /** Estimated bytes that the retained revisions keep from being collected. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Adds a revision. What is recorded already (a client that repeats itself) is left out. O(ranges).
   *
   * @param clocks per client that wrote, the end of its clocks after this revision
   * @param deletes what the revision deleted
   */
  record(revision: number, clocks: ReadonlyMap<number, number>, deletes: IdSet, atMs = 0): void {
    assert(revision > this.#revision, `revision ${revision} is recorded after ${this.#revision}`)
    const written = new Map<number, readonly [number, number]>()
    let bytes = 0
    for (const [client, end] of clocks) {
      const start = this.#clocks.get(client) ?? 0
      if (end <= start) continue
      written.set(client, [start, end])
      this.#clocks.set(client, end)
      bytes += 32 + end - start
    }
    const fresh = new IdSet()
    for (const { client, clock, length } of deletes.entries()) {
      for (const gap of this.#deletedEver.missing(client, clock, length)) {
        fresh.add(client, gap.clock, gap.length)
        bytes += 32 + gap.length
      }
    }
    this.#deletedEver.addAll(fresh)
    this.#entries.push({ revision, clocks: written, deletes: fresh, atMs, bytes })
    this.#revision = revision
    this.#bytes += bytes
    this.#moments.clear()
    for (const listener of this.#listeners) listener()
  }

  /** Lets go of everything before `oldest`, and returns it. Versions below are `revision-expired` from then on. */
  trim(oldest: number): readonly LogRevision[] {
    if (oldest <= this.#oldest) return []
    const target = Math.min(oldest, this.#revision)
    const keep = this.#entries.findIndex((entry) => entry.revision > target)
    const dropped = keep === -1 ? this.#entries : this.#entries.slice(0, keep)
    this.#entries = keep === -1 ? [] : this.#entries.slice(keep)
    this.#oldest = target
    for (const entry of dropped) this.#bytes -= entry.bytes
    for (const revision of this.#moments.keys()) if (revision < target) this.#moments.delete(revision)
    return dropped
  }

  /** The retained revisions, oldest first. */
  get entries(): readonly LogRevision[] {
    return this.#entries
  }

  /** Calls back after every `record`. */
  onRecord(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Takes the deletions of the start from a document, unless they are known. O(structs), once. */
  adopt(doc: Y.Doc): void {
    if (this.#hasBase) return
    this.#hasBase = true
    this.#deletedEver.addAll(deletesOf(doc))
  }

  /** Throws `revision-expired` for a version that is no longer retained, `invalid-request` for one that is to come. */
  check(version: Version): void {
    if (version.revision < this.#oldest)
      throw new PolyphonyError(
        'revision-expired',
        `Revision ${version.revision} is no longer retained, only ${this.#oldest} and later. Read the state anew.`,
        { extra: { oldest: this.#oldest, revision: this.#revision } },
      )
    if (version.revision > this.#revision)
      throw new PolyphonyError(
        'invalid-request',
        `Revision ${version.revision} is ahead of the newest, ${this.#revision}`,
        { extra: { oldest: this.#oldest, revision: this.#revision } },
      )
  }

  /**
   * What readers at the version see of the document. O(ranges of the revisions since), and O(clients).
   *
   * @param unrecorded whether the document holds changes beyond the log
   */
  moment(version: Version, doc: Y.Doc, unrecorded: boolean): Moment {
    this.check(version)
    if (!version.hasOwn && !unrecorded) return this.#plainMoment(version.revision)
    const { starts, deletedSince } = this.#since(version.revision)
    if (unrecorded) {
      for (const [client, end] of stateOf(doc)) {
        const recorded = this.#clocks.get(client) ?? 0
        if (end > recorded && !starts.has(client)) starts.set(client, recorded)
      }
    }
    const { inserted, deleted } = version.own
    return new Moment({
      starts,
      deletedSince,
      deletedEver: this.#deletedEver,
      ownInserted: inserted,
      ownDeleted: deleted,
    })
  }

  /** Own edits without those that the revision tells anyway. */
  trimOwn(revision: number, own: OwnEdits): OwnEdits {
    const { starts, deletedSince } = this.#since(revision)
    const inserted = new IdSet()
    const deleted = new IdSet()
    for (const { client, clock, length } of own.inserted.entries()) {
      const start = starts.get(client) ?? this.#clocks.get(client) ?? 0
      const from = Math.max(clock, start)
      inserted.add(client, from, clock + length - from)
    }
    for (const { client, clock, length } of own.deleted.entries()) {
      // What was deleted at the revision already is recorded, but not since.
      for (const gap of this.#deletedEver.missing(client, clock, length))
        deleted.add(client, gap.clock, gap.length)
      let from = clock
      for (const gap of deletedSince.missing(client, clock, length)) {
        deleted.add(client, from, gap.clock - from)
        from = gap.clock + gap.length
      }
      deleted.add(client, from, clock + length - from)
    }
    return { inserted, deleted }
  }

  #plainMoment(revision: number): Moment {
    if (revision === this.#revision) return live
    const cached = this.#moments.get(revision)
    if (cached !== undefined) return cached
    const { starts, deletedSince } = this.#since(revision)
    const moment = new Moment({
      starts,
      deletedSince,
      deletedEver: this.#deletedEver,
      ownInserted: noIds,
      ownDeleted: noIds,
    })
    this.#moments.set(revision, moment)
    return moment
  }

  #since(revision: number): { starts: Map<number, number>; deletedSince: IdSet } {
    const starts = new Map<number, number>()
    const deletedSince = new IdSet()
    // Newest first, so that the earliest start of a client is the one that stays.
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const entry = this.#entries[i]
      if (entry === undefined || entry.revision <= revision) break
      for (const [client, [start]] of entry.clocks) starts.set(client, start)
      deletedSince.addAll(entry.deletes)
    }
    return { starts, deletedSince }
  }
}

/** The increments that a Yjs update (format v1) stands for, to be recorded. O(structs in the update). */
export function increments(update: Uint8Array): { clocks: Map<number, number>; deletes: IdSet } {
  const { structs, ds } = Y.decodeUpdate(update)
  const clocks = new Map<number, number>()
  for (const struct of structs) {
    if (struct instanceof Y.Skip) continue
    const { client, clock } = struct.id
    clocks.set(client, Math.max(clocks.get(client) ?? 0, clock + struct.length))
  }
  return { clocks, deletes: toIdSet(ds) }
}

/** A Yjs delete set as ids. */
export function toIdSet(deleteSet: Pick<Y.Transaction['deleteSet'], 'clients'>): IdSet {
  const ids = new IdSet()
  for (const [client, ranges] of deleteSet.clients)
    for (const { clock, len } of ranges) ids.add(client, clock, len)
  return ids
}

/** Everything that is deleted in a document. O(structs). */
export function deletesOf(doc: Y.Doc): IdSet {
  return toIdSet(Y.createDeleteSetFromStructStore(doc.store))
}

function stateOf(doc: Y.Doc): Map<number, number> {
  const state = new Map<number, number>()
  for (const [client, structs] of doc.store.clients) {
    const last = structs.at(-1)
    if (last !== undefined) state.set(client, last.id.clock + last.length)
  }
  return state
}

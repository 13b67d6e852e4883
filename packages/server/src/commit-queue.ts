import { assert, IdSet } from '@polyphony/core'
import type { EntryMeta, NewEntry } from '@polyphony/storage'
import type { Authorship } from './document-handle.ts'
import type { Increment } from './frontier.ts'
import type { GuardedBatch } from './guarded-batch.ts'
import { mergeUpdates } from './update-writer.ts'

/** Whoever waits for a place in the log. */
export interface Follower {
  readonly committed: (revision: number) => void
  readonly failed: (error: Error) => void
}

/** Those who wait together with an update that is not theirs. */
interface Followers {
  readonly list: Follower[]
  bytes: number
}

/** An update on its way into the log. */
export interface QueuedUpdate extends Follower {
  readonly authorship: Authorship
  /** Updates of one source may be merged into one entry; absent: never merged. */
  readonly source?: object | undefined
  readonly update: Uint8Array
  readonly increment: Increment
  /** The replica that made it, and so has it already. */
  readonly madeBy?: object | undefined
  /** Updates of one batch follow each other and are taken together, apart from everything else. */
  readonly batch?: GuardedBatch | undefined
}

/** Updates that became one entry of the log. */
export interface QueuedGroup {
  readonly entry: NewEntry
  readonly increment: Increment
  readonly members: readonly QueuedUpdate[]
}

const mergedEntriesMax = 256
const mergedBytesMax = 256 << 10

/** What waits to be committed in one document, in order, and what is being written right now. */
export class CommitQueue {
  readonly #waiting: QueuedUpdate[] = []
  readonly #meta: (authorship: Authorship) => EntryMeta
  readonly #followers = new Map<QueuedUpdate, Followers>()
  /** What stands in a shared log, by revision, and has not come back from there. */
  readonly #placed = new Map<number, QueuedGroup>()
  #placedLength = 0
  #inFlight: readonly QueuedGroup[] = []
  #inFlightLength = 0
  #followerCount = 0
  #mayRepeat = false
  #bytes = 0

  constructor(meta: (authorship: Authorship) => EntryMeta) {
    this.#meta = meta
  }

  /** Bytes that wait or are being written, and those that followers hold on to. */
  get bytes(): number {
    return this.#bytes
  }

  /** Updates that wait or are being written, and followers. */
  get length(): number {
    return this.#waiting.length + this.#inFlightLength + this.#placedLength + this.#followerCount
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#inFlight.length === 0 && this.#placed.size === 0
  }

  /** The batch whose turn it is; `undefined` when something else is next, or nothing. */
  get nextBatch(): GuardedBatch | undefined {
    return this.#waiting[0]?.batch
  }

  /** The batch that is being written right now. */
  get batchInFlight(): GuardedBatch | undefined {
    return this.#inFlight[0]?.members[0]?.batch
  }

  /**
   * The newest revision that stands in a shared log from here, when nothing of others lies between it and `revision`;
   * otherwise `undefined`, for what lies there has not arrived yet.
   */
  placedUpTo(revision: number): number | undefined {
    const last = [...this.#placed.keys()].at(-1) ?? revision
    return last === revision + this.#placed.size ? last : undefined
  }

  /**
   * Settles `follower` together with everything that is queued by now. False when nothing is.
   *
   * @param bytes what the follower keeps in memory meanwhile
   */
  follow(follower: Follower, bytes: number): boolean {
    const last = this.#waiting.at(-1) ?? this.#inFlight.at(-1)?.members.at(-1) ?? this.#lastPlaced()
    if (last === undefined) return false
    const followers = this.#followers.get(last) ?? { list: [], bytes: 0 }
    this.#followers.set(last, followers)
    followers.list.push(follower)
    followers.bytes += bytes
    this.#followerCount++
    this.#bytes += bytes
    return true
  }

  push(update: QueuedUpdate): void {
    this.#waiting.push(update)
    this.#bytes += update.update.length
  }

  /** Takes the next updates out as entries; neighbours from one source become one entry. A batch is taken whole. */
  take(bytesMax: number): readonly NewEntry[] {
    const groups: QueuedGroup[] = []
    const batch = this.nextBatch
    let count = 0
    let bytes = 0
    while (count < this.#waiting.length && (count === 0 || bytes < bytesMax || batch !== undefined)) {
      if (this.#waiting[count]?.batch !== batch) break
      const members = this.#nextGroup(count)
      groups.push(makeGroup(members, this.#meta))
      count += members.length
      bytes += members.reduce((sum, { update }) => sum + update.length, 0)
    }
    this.#waiting.splice(0, count)
    this.#mayRepeat = false
    this.#inFlight = groups
    this.#inFlightLength = count
    return groups.map(({ entry }) => entry)
  }

  /** The entries that were taken last are written again, although they may be stored already. */
  repeat(): void {
    this.#mayRepeat = true
  }

  /**
   * Asserts that `count` entries, which were taken last, follow `known` in a log that nobody else writes: directly, or
   * after themselves.
   */
  assertFollows(known: number, first: number, count: number): void {
    const between = first - known - 1
    const isExpected = between === 0 || (this.#mayRepeat && between > 0 && between % count === 0)
    assert(isExpected, `revision ${first} after ${known}, written elsewhere`)
  }

  /** The groups behind the entries that were taken last; they are done with. */
  settle(): readonly QueuedGroup[] {
    const groups = this.#inFlight
    this.#inFlight = []
    this.#inFlightLength = 0
    for (const { members } of groups) for (const { update } of members) this.#bytes -= update.length
    return groups
  }

  /** What was taken last was not written, and waits again, before everything else. */
  restore(): void {
    this.#waiting.unshift(...this.#inFlight.flatMap(({ members }) => members))
    this.#inFlight = []
    this.#inFlightLength = 0
  }

  /**
   * Throws the batch out whose turn it is. Whoever follows it hears what comes of the update before it.
   *
   * @param revision the newest that has arrived here: for followers that have nothing to wait for
   */
  drop(batch: GuardedBatch, error: Error, revision: number): void {
    const count = this.#waiting.findLastIndex((update) => update.batch === batch) + 1
    for (const update of this.#waiting.splice(0, count)) {
      this.#bytes -= update.update.length
      const followers = this.#followers.get(update)
      this.#followers.delete(update)
      if (followers !== undefined) this.#moveFollowers(followers, revision)
      update.failed(error)
    }
  }

  /**
   * The entries that were taken last stand in a shared log from this revision on; each is settled when it comes back.
   * Returns the revision of the last of them.
   */
  place(first: number): number {
    const last = first + this.#inFlight.length - 1
    this.#inFlight.forEach((group, index) => this.#placed.set(first + index, group))
    this.#placedLength += this.#inFlightLength
    this.#inFlight = []
    this.#inFlightLength = 0
    return last
  }

  /** The members of what was placed at this revision, if anything was; they are done with. */
  takePlaced(revision: number): readonly QueuedUpdate[] {
    const members = this.#placed.get(revision)?.members ?? []
    this.#placed.delete(revision)
    this.#placedLength -= members.length
    for (const { update } of members) this.#bytes -= update.length
    return members
  }

  /** Tells an update of a settled group, and whoever follows it, where it stands in the log. */
  announce(update: QueuedUpdate, revision: number): void {
    update.committed(revision)
    for (const follower of this.#takeFollowers(update)) follower.committed(revision)
  }

  /** Empties the queue: what waits fails with one error, what is being written right now with the other. */
  fail(error: Error, inFlightError: Error): void {
    const placed = [...this.#placed.keys()].flatMap((revision) => this.takePlaced(revision))
    const inFlight = [...placed, ...this.settle().flatMap(({ members }) => members)]
    const waiting = this.#waiting.splice(0)
    for (const { update } of waiting) this.#bytes -= update.length
    this.#failAll(inFlight, inFlightError)
    this.#failAll(waiting, error)
  }

  #lastPlaced(): QueuedUpdate | undefined {
    return [...this.#placed.values()].at(-1)?.members.at(-1)
  }

  #failAll(updates: readonly QueuedUpdate[], error: Error): void {
    for (const update of updates) {
      update.failed(error)
      for (const follower of this.#takeFollowers(update)) follower.failed(error)
    }
  }

  #takeFollowers(update: QueuedUpdate): readonly Follower[] {
    const followers = this.#followers.get(update)
    if (followers === undefined) return []
    this.#followers.delete(update)
    this.#followerCount -= followers.list.length
    this.#bytes -= followers.bytes
    return followers.list
  }

  /** To the newest update that was placed before those that wait; when there is none, they have nothing to wait for. */
  #moveFollowers(followers: Followers, revision: number): void {
    const last = this.#lastPlaced()
    if (last === undefined) {
      this.#followerCount -= followers.list.length
      this.#bytes -= followers.bytes
      for (const follower of followers.list) follower.committed(revision)
      return
    }
    const others = this.#followers.get(last) ?? { list: [], bytes: 0 }
    this.#followers.set(last, others)
    others.list.push(...followers.list)
    others.bytes += followers.bytes
  }

  #nextGroup(from: number): QueuedUpdate[] {
    const first = this.#waiting[from] as QueuedUpdate
    const members = [first]
    let bytes = first.update.length
    if (first.source === undefined) return members
    for (let at = from + 1; at < this.#waiting.length && members.length < mergedEntriesMax; at++) {
      const next = this.#waiting[at] as QueuedUpdate
      bytes += next.update.length
      if (next.source !== first.source || bytes > mergedBytesMax) break
      members.push(next)
    }
    return members
  }
}

function makeGroup(
  members: readonly QueuedUpdate[],
  meta: (authorship: Authorship) => EntryMeta,
): QueuedGroup {
  const first = members[0] as QueuedUpdate
  const update = members.length === 1 ? first.update : mergeUpdates(members.map((member) => member.update))
  const authored = meta(first.authorship)
  return {
    entry: {
      update,
      meta: first.batch === undefined ? authored : { ...authored, appendId: first.batch.appendId },
    },
    increment: mergeIncrements(members.map(({ increment }) => increment)),
    members,
  }
}

function mergeIncrements(increments: readonly Increment[]): Increment {
  const [first] = increments
  if (increments.length === 1 && first !== undefined) return first
  const clocks = new Map<number, number>()
  const deletes = new IdSet()
  for (const increment of increments) {
    for (const [client, clock] of increment.clocks)
      clocks.set(client, Math.max(clock, clocks.get(client) ?? 0))
    deletes.addAll(increment.deletes)
  }
  return { clocks, deletes }
}

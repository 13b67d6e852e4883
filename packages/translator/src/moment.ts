import { IdSet } from '@polyphony/core'
import type * as Y from 'yjs'

/** Whether a reader at some moment has not heard of a unit, has seen it deleted, or sees it. */
export type Presence = 'unknown' | 'hidden' | 'visible'

/** Neighbouring units of one item that have the same presence. */
export interface Run {
  readonly offset: number
  readonly length: number
  readonly presence: Presence
}

/** What separates a moment in the past from everything that the document holds now. */
export interface Past {
  /** Per client that has written since: the first clock that the moment does not know. */
  readonly starts: ReadonlyMap<number, number>
  /** Everything that was ever deleted on purpose, as far as it is recorded. */
  readonly deletedEver: IdSet
  /** The part of it that was deleted after the moment. */
  readonly deletedSince: IdSet
  /** Ids beyond `starts` that are known all the same: the reader's own insertions. */
  readonly ownInserted: IdSet
  /** Ids that the reader has itself deleted since. */
  readonly ownDeleted: IdSet
}

/**
 * A point of view on a document: for every unit (an array element, a character, a value of a map key) it tells whether
 * a reader at that point sees it. Asking about an item costs O(log deletions), without looking at any content.
 *
 * An item may hold units of several revisions, because Yjs merges neighbours; so the answer is per unit. Being marked
 * deleted today says nothing about the past: a value that lost its map key to a concurrent one was deleted silently.
 */
export class Moment {
  readonly past: Past | undefined

  constructor(past?: Past) {
    this.past = past
  }

  get isLive(): boolean {
    return this.past === undefined
  }

  knows(client: number, clock: number): boolean {
    const { past } = this
    if (past === undefined) return true
    const start = past.starts.get(client)
    return start === undefined || clock < start || past.ownInserted.has(client, clock)
  }

  /** The presence of one unit. */
  at(item: Y.Item, offset: number): Presence {
    const { past } = this
    if (past === undefined) return item.deleted ? 'hidden' : 'visible'
    const { client, clock } = item.id
    return presenceOf(past, client, clock + offset, item.deleted)
  }

  /** The presence of all units of the item, or `mixed`: then ask `runs`. */
  of(item: Y.Item): Presence | 'mixed' {
    const { past } = this
    if (past === undefined) return item.deleted ? 'hidden' : 'visible'
    const { client, clock } = item.id
    if (item.length === 1) return presenceOf(past, client, clock, item.deleted)
    const start = past.starts.get(client)
    if (start === undefined || clock + item.length <= start) return item.deleted ? 'mixed' : 'visible'
    return clock >= start && past.ownInserted.isEmpty ? 'unknown' : 'mixed'
  }

  /** The units of the item, cut where the presence changes. */
  runs(item: Y.Item): readonly Run[] {
    const whole = this.of(item)
    const { past } = this
    if (whole !== 'mixed' || past === undefined)
      return [{ offset: 0, length: item.length, presence: whole === 'mixed' ? 'visible' : whole }]
    const { client, clock } = item.id
    const end = clock + item.length
    const runs: Run[] = []
    const cuts = cutsOf(past, client, clock, end, item.deleted)
    for (let i = 0; i + 1 < cuts.length; i++) {
      const from = cuts[i] ?? end
      const length = (cuts[i + 1] ?? end) - from
      const presence = presenceOf(past, client, from, item.deleted)
      const last = runs.at(-1)
      if (last?.presence === presence) {
        runs[runs.length - 1] = { offset: last.offset, length: last.length + length, presence }
      } else {
        runs.push({ offset: from - clock, length, presence })
      }
    }
    return runs
  }

  /** How many units of the item are visible. */
  count(item: Y.Item): number {
    const whole = this.of(item)
    if (whole === 'visible') return item.length
    if (whole !== 'mixed') return 0
    let visible = 0
    for (const run of this.runs(item)) if (run.presence === 'visible') visible += run.length
    return visible
  }
}

/** The document as it is. */
export const live = new Moment()

function presenceOf(past: Past, client: number, clock: number, deletedNow: boolean): Presence {
  const start = past.starts.get(client)
  if (start !== undefined && clock >= start && !past.ownInserted.has(client, clock)) return 'unknown'
  if (!deletedNow) return 'visible'
  if (past.ownDeleted.has(client, clock)) return 'hidden'
  return past.deletedEver.has(client, clock) && !past.deletedSince.has(client, clock) ? 'hidden' : 'visible'
}

/** Sorted clocks at which the presence of units may change, both ends included. */
function cutsOf(past: Past, client: number, clock: number, end: number, deletedNow: boolean): number[] {
  const cuts = new Set([clock, end])
  const start = past.starts.get(client)
  if (start !== undefined && start > clock && start < end) cuts.add(start)
  const sets = deletedNow
    ? [past.ownInserted, past.ownDeleted, past.deletedEver, past.deletedSince]
    : [past.ownInserted]
  for (const set of sets) {
    for (const gap of set.missing(client, clock, end - clock)) cuts.add(gap.clock).add(gap.clock + gap.length)
  }
  return [...cuts].toSorted((a, b) => a - b)
}

export const noIds: IdSet = new IdSet()

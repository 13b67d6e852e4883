import type * as Y from 'yjs'
import type { IndexOf } from './address.ts'
import type { Unit } from './list-at.ts'
import type { Moment } from './moment.ts'

/** Neighbouring elements of a list that appeared, or that disappeared, since a moment. */
export interface ChangedRun {
  readonly item: Y.Item
  readonly offset: number
  readonly length: number
  readonly added: boolean
  /** Index now: of the first of them, or of what follows their gap. */
  readonly at: number
}

/** One place of a list where something changed: what stood there is replaced by what stands there now. */
export interface ListHunk {
  /** Index of the first element now. */
  readonly at: number
  /** How many elements stood there; in which order is not known. */
  readonly removed: number
  readonly added: readonly Unit[]
}

/** The runs of a list that changed, in any order, from its changed items alone. O(changes * cost of a position). */
export function runsOf(
  items: Iterable<Y.Item>,
  moment: Moment,
  counts: (item: Y.Item) => boolean,
  indexOf: IndexOf,
): ChangedRun[] {
  const runs: ChangedRun[] = []
  for (const item of items) {
    if (!counts(item)) continue
    const start = indexOf(item)
    for (const { offset, length, presence } of moment.runs(item)) {
      if (presence === 'visible' && item.deleted) runs.push({ item, offset, length, added: false, at: start })
      else if (presence !== 'visible' && !item.deleted)
        runs.push({ item, offset, length, added: true, at: start + offset })
    }
  }
  return runs
}

/** The places of a list that changed, from left to right. O(changes * (log changes + cost of a position)). */
export function hunksOf(
  items: Iterable<Y.Item>,
  moment: Moment,
  counts: (item: Y.Item) => boolean,
  indexOf: IndexOf,
): ListHunk[] {
  return gather(sortRuns(runsOf(items, moment, counts, indexOf)))
}

/**
 * In list order. What stands left of an added run starts before it, so at one index the removed come first; among
 * themselves the order of removed runs does not matter to the outcome.
 */
function sortRuns(runs: ChangedRun[]): ChangedRun[] {
  return runs.toSorted((a, b) => a.at - b.at || Number(a.added) - Number(b.added))
}

function gather(runs: readonly ChangedRun[]): ListHunk[] {
  const hunks: { at: number; removed: number; added: Unit[] }[] = []
  let end = -1
  for (const { item, offset, length, added, at } of runs) {
    let hunk = hunks.at(-1)
    // No element that stayed is between this run and the one before.
    if (hunk === undefined || at !== end) {
      hunk = { at, removed: 0, added: [] }
      hunks.push(hunk)
    }
    if (added) for (let i = 0; i < length; i++) hunk.added.push({ item, offset: offset + i })
    else hunk.removed += length
    end = added ? at + length : at
  }
  return hunks
}

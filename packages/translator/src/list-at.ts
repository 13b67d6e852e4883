import type * as Y from 'yjs'
import { runsOf, type ChangedRun } from './list-runs.ts'
import type { Moment } from './moment.ts'
import type { PositionIndex } from './position-index.ts'
import type { YType } from './yjs.ts'

/** One unit of a list: an array element or a character. */
export interface Unit {
  readonly item: Y.Item
  readonly offset: number
}

/** A list as it was at a moment: which unit had which index. */
export interface ListAt {
  readonly length: number
  /** The unit at an index below `length`. */
  locate(index: number): Unit
}

/** Reads the whole list once. O(items), then O(log items) per lookup. */
export class WalkedList implements ListAt {
  readonly length: number
  readonly #starts: number[] = []
  readonly #units: Unit[] = []

  constructor(type: YType, moment: Moment, counts: (item: Y.Item) => boolean) {
    let length = 0
    for (let item = type._start; item !== null; item = item.right) {
      if (!counts(item)) continue
      const presence = moment.of(item)
      if (presence === 'unknown' || presence === 'hidden') continue
      for (const run of moment.runs(item)) {
        if (run.presence !== 'visible') continue
        this.#starts.push(length)
        this.#units.push({ item, offset: run.offset })
        length += run.length
      }
    }
    this.length = length
  }

  locate(index: number): Unit {
    let low = 0
    let high = this.#starts.length
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if ((this.#starts[middle] ?? 0) <= index) low = middle
      else high = middle
    }
    const unit = this.#units[low]
    const start = this.#starts[low]
    if (unit === undefined || start === undefined || index >= this.length || index < 0)
      throw new RangeError(`There is no element ${index}`)
    return { item: unit.item, offset: unit.offset + index - start }
  }
}

/** A stretch of a list at a moment: units that live on from `live`, or those of a run that was deleted since. */
interface Stretch {
  readonly start: number
  readonly live: number
  readonly run: ChangedRun | undefined
}

/**
 * A long list at a moment, from its index now and what changed since. O(changes * log changes) to make, then a lookup in
 * the changes and one in the index.
 */
export class PastList implements ListAt {
  readonly length: number
  readonly #stretches: Stretch[] = []
  readonly #index: PositionIndex

  constructor(
    type: YType,
    moment: Moment,
    items: Iterable<Y.Item>,
    index: PositionIndex,
    counts: (item: Y.Item) => boolean,
  ) {
    this.#index = index
    let now = 0
    let then = 0
    for (const run of inListOrder(
      runsOf(items, moment, counts, (item) => index.indexOf(item)),
      type,
      index,
    )) {
      if (run.at > now) this.#stretches.push({ start: then, live: now, run: undefined })
      then += run.at - now
      now = run.at
      if (run.added) now += run.length
      else {
        this.#stretches.push({ start: then, live: now, run })
        then += run.length
      }
    }
    const rest = index.length - now
    if (rest > 0) this.#stretches.push({ start: then, live: now, run: undefined })
    this.length = then + rest
  }

  locate(index: number): Unit {
    let low = 0
    let high = this.#stretches.length
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if ((this.#stretches[middle]?.start ?? 0) <= index) low = middle
      else high = middle
    }
    const stretch = this.#stretches[low]
    if (stretch === undefined || index < 0 || index >= this.length)
      throw new RangeError(`There is no element ${index}`)
    const { start, live, run } = stretch
    if (run === undefined) return this.#index.locate(live + index - start)
    return { item: run.item, offset: run.offset + index - start }
  }
}

/** Runs that were deleted at the same place have the same index now: their order is that of their items. */
function inListOrder(runs: ChangedRun[], type: YType, index: PositionIndex): ChangedRun[] {
  const removedAt = new Map<number, number>()
  for (const { added, at } of runs) if (!added) removedAt.set(at, (removedAt.get(at) ?? 0) + 1)
  const order = new Map<Y.Item, number>()
  for (const [at, count] of removedAt) {
    if (count === 1) continue
    const before = at === 0 ? null : index.locate(at - 1).item
    let place = 0
    for (let item = before === null ? type._start : before.right; item?.deleted === true; item = item.right)
      order.set(item, place++)
  }
  return runs.toSorted(
    (a, b) =>
      a.at - b.at ||
      Number(a.added) - Number(b.added) ||
      (order.get(a.item) ?? 0) - (order.get(b.item) ?? 0) ||
      a.offset - b.offset,
  )
}

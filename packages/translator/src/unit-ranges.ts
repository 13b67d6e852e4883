import type { ListAt } from './list-at.ts'

/** Units of a list that have consecutive ids. */
export interface UnitRange {
  readonly client: number
  readonly clock: number
  readonly count: number
  /** Index of the first of them in the list. */
  readonly index: number
}

/** The ids of `length` elements from `from` on. O(items) for neighbours. */
export function* structUnits(list: ListAt, from: number, length: number): IterableIterator<UnitRange> {
  let range: UnitRange | undefined
  for (let index = from; index < from + length; index++) {
    const { item, offset } = list.locate(index)
    const clock = item.id.clock + offset
    if (range !== undefined && range.client === item.id.client && range.clock + range.count === clock) {
      range = { ...range, count: range.count + 1 }
      continue
    }
    if (range !== undefined) yield range
    range = { client: item.id.client, clock, count: 1, index }
  }
  if (range !== undefined) yield range
}

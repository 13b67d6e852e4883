import type * as Y from 'yjs'
import type { Moment } from './moment.ts'
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

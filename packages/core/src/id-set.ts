/** A half-open range of clocks of one Yjs client: `clock` to `clock + length`. */
export interface ClockRange {
  readonly clock: number
  readonly length: number
}

/**
 * A set of Yjs ids (client, clock), kept as sorted, disjoint, merged ranges per client: the shape of a delete set.
 * Adding and asking cost O(log n) plus what has to be moved inside one client's ranges; appends at the end are O(1).
 */
export class IdSet {
  readonly #clients = new Map<number, number[]>()

  get isEmpty(): boolean {
    return this.#clients.size === 0
  }

  clients(): IterableIterator<number> {
    return this.#clients.keys()
  }

  *ranges(client: number): IterableIterator<ClockRange> {
    const bounds = this.#clients.get(client)
    if (bounds === undefined) return
    for (let i = 0; i < bounds.length; i += 2) {
      const clock = bounds[i] as number
      yield { clock, length: (bounds[i + 1] as number) - clock }
    }
  }

  *entries(): IterableIterator<ClockRange & { readonly client: number }> {
    for (const client of this.#clients.keys()) {
      for (const range of this.ranges(client)) yield { client, ...range }
    }
  }

  has(client: number, clock: number): boolean {
    const bounds = this.#clients.get(client)
    // Ranges are [start, end) pairs in one flat list: an id is inside when an odd number of bounds is at or below it.
    return bounds !== undefined && upperBound(bounds, clock) % 2 === 1
  }

  /** Whether the whole range is in the set. */
  covers(client: number, clock: number, length: number): boolean {
    const bounds = this.#clients.get(client)
    if (bounds === undefined) return length === 0
    const at = upperBound(bounds, clock)
    return at % 2 === 1 && (bounds[at] as number) >= clock + length
  }

  /** The parts of the range that are not in the set, in order. */
  missing(client: number, clock: number, length: number): ClockRange[] {
    const bounds = this.#clients.get(client)
    const end = clock + length
    if (bounds === undefined) return length > 0 ? [{ clock, length }] : []
    const gaps: ClockRange[] = []
    let at = upperBound(bounds, clock)
    let cursor = at % 2 === 1 ? (bounds[at++] as number) : clock
    while (cursor < end) {
      const next = Math.min(end, bounds[at] ?? end)
      if (next > cursor) gaps.push({ clock: cursor, length: next - cursor })
      cursor = bounds[at + 1] ?? end
      at += 2
    }
    return gaps
  }

  add(client: number, clock: number, length: number): void {
    if (length <= 0) return
    const end = clock + length
    const bounds = this.#clients.get(client)
    if (bounds === undefined) {
      this.#clients.set(client, [clock, end])
      return
    }
    const last = bounds[bounds.length - 1] as number
    if (clock > last) {
      bounds.push(clock, end)
      return
    }
    // Touching ranges merge, so the search is for bounds strictly below the start and at or below the end.
    const from = lowerBound(bounds, clock)
    const to = upperBound(bounds, end)
    const inserted: number[] = []
    if (from % 2 === 0) inserted.push(clock)
    if (to % 2 === 0) inserted.push(end)
    bounds.splice(from, to - from, ...inserted)
  }

  addAll(other: IdSet): void {
    for (const { client, clock, length } of other.entries()) this.add(client, clock, length)
  }

  /** Number of ranges, which is what the set costs in memory. */
  get size(): number {
    let ranges = 0
    for (const bounds of this.#clients.values()) ranges += bounds.length / 2
    return ranges
  }
}

/** Index of the first bound that is at or above `value`. */
function lowerBound(bounds: readonly number[], value: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((bounds[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Index of the first bound that is above `value`. */
function upperBound(bounds: readonly number[], value: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((bounds[middle] as number) <= value) low = middle + 1
    else high = middle
  }
  return low
}

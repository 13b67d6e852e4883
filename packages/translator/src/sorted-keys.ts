const runKeys = 1_024

/**
 * The keys of a map in order, for maps so large that sorting them at once takes long: runs of them are sorted one by one
 * and then merged. Cost: O(log runs) for each key.
 */
export class SortedKeys {
  readonly #source: Iterator<string>
  readonly #runs: { readonly keys: readonly string[]; at: number }[] = []
  /** The runs that are left, as a heap: the one with the smallest next key comes first. */
  #heap: { readonly keys: readonly string[]; at: number }[] | undefined

  constructor(source: Iterable<string>) {
    this.#source = source[Symbol.iterator]()
  }

  /** The next key; `undefined` after the last. `false`: there is more to do before it is known; call again. */
  next(): string | false | undefined {
    if (this.#heap === undefined) {
      this.#readRun()
      if (this.#heap === undefined) return false
    }
    const heap: { readonly keys: readonly string[]; at: number }[] = this.#heap
    const first = heap[0]
    if (first === undefined) return undefined
    const key = first.keys[first.at]
    first.at += 1
    if (first.at === first.keys.length) {
      const last = heap.pop()
      if (last !== undefined && last !== first) heap[0] = last
    }
    siftDown(heap)
    return key
  }

  #readRun(): void {
    const keys: string[] = []
    while (keys.length < runKeys) {
      const next = this.#source.next()
      if (next.done === true) break
      keys.push(next.value)
    }
    if (keys.length > 0) this.#runs.push({ keys: keys.toSorted(), at: 0 })
    // Runs by their first keys are a heap already.
    if (keys.length < runKeys)
      this.#heap = this.#runs.toSorted((a, b) => ((a.keys[0] ?? '') < (b.keys[0] ?? '') ? -1 : 1))
  }
}

/** Moves the first run down to where its next key belongs. */
function siftDown(heap: { readonly keys: readonly string[]; at: number }[]): void {
  const moved = heap[0]
  if (moved === undefined) return
  const key = moved.keys[moved.at] ?? ''
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    const left = heap[child]
    if (left === undefined) break
    const right = heap[child + 1]
    let least = left
    if (right !== undefined && keyOf(right) < keyOf(left)) {
      least = right
      child += 1
    }
    if (key <= keyOf(least)) break
    heap[at] = least
    at = child
  }
  heap[at] = moved
}

function keyOf({ keys, at }: { readonly keys: readonly string[]; readonly at: number }): string {
  return keys[at] ?? ''
}

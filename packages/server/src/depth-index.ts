import * as Y from 'yjs'

/** Where the depth of one client's items changes: item `starts[i]` and those after it lie `depths[i]` levels deep. */
interface Runs {
  readonly starts: number[]
  readonly depths: number[]
}

/**
 * Knows how deep each item lies, without a `Y.Doc`: an item lies in its parent, or where its origin lies. Yjs itself has
 * no limit, and a document nested some thousand levels deep breaks whoever deletes or projects it.
 * Memory: two numbers for each change of depth in a client's clocks. Looking up costs O(log changes).
 */
export class DepthIndex {
  #max: number
  readonly #clients = new Map<number, Runs>()
  /** How long the runs of each touched client were, for taking back what was placed. */
  readonly #before = new Map<number, number>()

  constructor(max: number) {
    this.#max = max
  }

  /**
   * Notes where an item lies; a client's items come in the order of their clocks. False when it lies too deep. What is
   * stored never does: it raises the limit of its document, so that nobody is shut out of what is there.
   */
  place(item: Y.Item, isStored = false): boolean {
    const anchor = item.origin ?? item.rightOrigin
    let depth = 0
    if (anchor !== null) depth = this.#depthOf(anchor)
    else if (item.parent instanceof Y.ID) depth = this.#depthOf(item.parent) + 1
    if (depth > this.#max) {
      if (!isStored) return false
      this.#max = depth
    }
    const { client, clock } = item.id
    const runs = this.#clients.get(client) ?? { starts: [], depths: [] }
    if (!this.#before.has(client)) this.#before.set(client, runs.starts.length)
    if ((runs.depths.at(-1) ?? 0) !== depth) {
      runs.starts.push(clock)
      runs.depths.push(depth)
      this.#clients.set(client, runs)
    }
    return true
  }

  /** Makes what was placed since the last call permanent. */
  keepPlaced(): void {
    this.#before.clear()
  }

  forgetPlaced(): void {
    for (const [client, length] of this.#before) {
      const runs = this.#clients.get(client)
      if (runs === undefined) continue
      runs.starts.length = length
      runs.depths.length = length
    }
    this.#before.clear()
  }

  #depthOf(id: Y.ID): number {
    const runs = this.#clients.get(id.client)
    if (runs === undefined) return 0
    let low = 0
    let high = runs.starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((runs.starts[middle] as number) <= id.clock) low = middle + 1
      else high = middle
    }
    return low === 0 ? 0 : (runs.depths[low - 1] as number)
  }
}

import * as Y from 'yjs'
import type { Unit } from './list-at.ts'
import { parentOf, structsOf, type YType } from './yjs.ts'

/** A stretch of a list: from its anchor up to the next one. The first has no anchor and begins with the list. */
interface Block {
  readonly anchor: Y.Item | undefined
  /** Units that live in it. */
  live: number
  /** Units that live before it. */
  before: number
  position: number
}

const blockSize = 256
const blockSizeMax = 1_024

/**
 * Where the units of a long list are, in both directions, at a cost that does not depend on its length: one anchor per
 * 256 items, and the number of living units between them. It tolerates what Yjs does to items: an anchor that was
 * merged into its neighbour is not met any more, and its block counts on as a part of the one before.
 */
export class PositionIndex {
  readonly #type: YType
  readonly #counts: (item: Y.Item) => boolean
  readonly #blockOf = new Map<Y.Item, Block>()
  readonly #blocks: Block[] = []
  /** Blocks from this position on have a stale `before`. */
  #staleFrom = 0

  /** Reads the list once. O(items). */
  constructor(type: YType, counts: (item: Y.Item) => boolean) {
    this.#type = type
    this.#counts = counts
    let block = this.#add(undefined, 0)
    let items = 0
    for (let item = type._start; item !== null; item = item.right) {
      if (items === blockSize) {
        block = this.#add(item, 0)
        items = 0
      }
      block.live += this.#live(item)
      items++
    }
  }

  /** The number of living units. O(1) while nothing changed, else O(blocks). */
  get length(): number {
    this.#refresh()
    const last = this.#blocks.at(-1)
    return last === undefined ? 0 : last.before + last.live
  }

  /** How many living units are left of an item of the list. O(blocks + items of a block). */
  indexOf(item: Y.Item): number {
    const { block, distance, steps } = this.#blockAt(item)
    this.#refresh()
    const index = block.before + distance
    if (steps > blockSizeMax) this.#split(block, item, distance)
    return index
  }

  /** The living unit at an index below `length`. O(log blocks + items of a block). */
  locate(index: number): Unit {
    this.#refresh()
    let low = 0
    let high = this.#blocks.length
    while (low + 1 < high) {
      const middle = (low + high) >>> 1
      if ((this.#blocks[middle]?.before ?? 0) <= index) low = middle
      else high = middle
    }
    while (low > 0 && this.#isMerged(this.#blocks[low])) low--
    const block = this.#blocks[low]
    let rest = index - (block?.before ?? 0)
    let steps = 0
    for (let item = block?.anchor ?? this.#type._start; item !== null; item = item.right) {
      const live = this.#live(item)
      if (rest < live) {
        if (steps > blockSizeMax && block !== undefined) this.indexOf(item)
        return { item, offset: rest }
      }
      rest -= live
      steps++
    }
    throw new RangeError(`There is no element ${index}`)
  }

  /**
   * Follows a transaction, which must not have been cleaned up yet. O(changes * items of a block). Returns false when
   * there were so many changes that reading the list again is cheaper.
   */
  follow(transaction: Y.Transaction): boolean {
    const { doc, beforeState, afterState, deleteSet } = transaction
    let changes = 0
    for (const [client, end] of afterState) {
      const start = beforeState.get(client) ?? 0
      if (start === end) continue
      const structs = structsOf(doc, client)
      for (let i = Y.findIndexSS(structs as Y.Item[], start); i < structs.length; i++) {
        const struct = structs[i]
        if (struct instanceof Y.Item && !struct.deleted && this.#holds(struct)) {
          if (++changes > 2_000) return false
          this.#change(struct, struct.length)
        }
      }
    }
    for (const [client, ranges] of deleteSet.clients) {
      const structs = structsOf(doc, client)
      const known = beforeState.get(client) ?? 0
      for (const { clock, len } of ranges) {
        if (clock >= known) continue
        for (let i = Y.findIndexSS(structs as Y.Item[], clock); i < structs.length; i++) {
          const struct = structs[i]
          if (struct === undefined || struct.id.clock >= Math.min(clock + len, known)) break
          if (struct instanceof Y.Item && this.#holds(struct)) {
            if (++changes > 2_000) return false
            this.#change(struct, -struct.length)
          }
        }
      }
    }
    return true
  }

  #holds(item: Y.Item): boolean {
    return item.parentSub === null && parentOf(item) === this.#type && this.#counts(item)
  }

  #live(item: Y.Item): number {
    return item.deleted || !this.#counts(item) ? 0 : item.length
  }

  #change(item: Y.Item, by: number): void {
    const { block } = this.#blockAt(item)
    this.#absorb(block)
    block.live += by
    this.#staleFrom = Math.min(this.#staleFrom, block.position + 1)
  }

  /** The block of an item, and how many living units are between its anchor and the item. */
  #blockAt(item: Y.Item): { block: Block; distance: number; steps: number } {
    let distance = 0
    let steps = 0
    for (let current = item; ; steps++) {
      const block = this.#blockOf.get(current)
      if (block !== undefined) return { block, distance, steps }
      const { left } = current
      if (left === null) return { block: this.#blocks[0] ?? this.#add(undefined, 0), distance, steps }
      distance += this.#live(left)
      current = left
    }
  }

  #isMerged(block: Block | undefined): boolean {
    const anchor = block?.anchor
    if (anchor === undefined) return false
    return anchor.left === null ? this.#type._start !== anchor : anchor.left.right !== anchor
  }

  /** Makes an item the anchor of a block of its own, because the way to the one before became long. */
  #split(block: Block, anchor: Y.Item, distance: number): void {
    this.#absorb(block)
    const next = block.position + 1
    const fresh: Block = { anchor, live: block.live - distance, before: 0, position: next }
    block.live = distance
    this.#blocks.splice(next, 0, fresh)
    this.#blockOf.set(anchor, fresh)
    this.#staleFrom = Math.min(this.#staleFrom, next)
  }

  /** Takes in the blocks behind whose anchors are gone: from now on their units are counted as units of this one. */
  #absorb(block: Block): void {
    if (this.#blocks[block.position] !== block) this.#refresh()
    const next = block.position + 1
    let merged = 0
    for (
      let gone = this.#blocks[next];
      gone !== undefined && this.#isMerged(gone);
      gone = this.#blocks[next + merged]
    ) {
      if (gone.anchor !== undefined) this.#blockOf.delete(gone.anchor)
      block.live += gone.live
      merged++
    }
    if (merged === 0) return
    this.#blocks.splice(next, merged)
    this.#staleFrom = Math.min(this.#staleFrom, next)
  }

  #add(anchor: Y.Item | undefined, live: number): Block {
    const block: Block = { anchor, live, before: 0, position: this.#blocks.length }
    this.#blocks.push(block)
    if (anchor !== undefined) this.#blockOf.set(anchor, block)
    return block
  }

  #refresh(): void {
    if (this.#staleFrom >= this.#blocks.length) return
    for (let i = this.#staleFrom; i < this.#blocks.length; i++) {
      const block = this.#blocks[i]
      const previous = this.#blocks[i - 1]
      if (block === undefined) continue
      block.before = previous === undefined ? 0 : previous.before + previous.live
      block.position = i
    }
    this.#staleFrom = this.#blocks.length
  }
}

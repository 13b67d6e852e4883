import type * as Y from 'yjs'
import type { Changes } from './changes.ts'
import { PastList, WalkedList, type ListAt } from './list-at.ts'
import type { Moment } from './moment.ts'
import { PositionIndex } from './position-index.ts'
import { countsInArray, countsInText, kindOf, parentOf, type YType } from './yjs.ts'

/** Length from which a list gets an index; below, walking it is as fast. */
const indexedMin = 2_000

/** The positions in all lists of a document: walked in short lists, indexed in long ones. */
export class Positions {
  readonly #indexes = new Map<YType, PositionIndex>()

  /** How many living units are left of an item of a list. */
  readonly indexOf = (item: Y.Item): number => {
    const type = parentOf(item)
    if (type._length >= indexedMin) return this.#index(type).indexOf(item)
    const counts = countsFor(type)
    let index = 0
    for (let left = item.left; left !== null; left = left.left)
      if (!left.deleted && counts(left)) index += left.length
    return index
  }

  /** A list as it was at a moment. `changes` is only asked for long lists. */
  listAt(type: YType, moment: Moment, changes: () => Changes): ListAt {
    if (type._length < indexedMin) return new WalkedList(type, moment, countsFor(type))
    const index = this.#index(type)
    const items = moment.isLive ? undefined : changes().items.get(type)
    return items === undefined ? index : new PastList(type, moment, items, index, countsFor(type))
  }

  /** Keeps the indexes up to date; to be called in `afterTransaction`. */
  follow(transaction: Y.Transaction): void {
    for (const [type, index] of this.#indexes) {
      if (type._item?.deleted === true) this.#indexes.delete(type)
      else if (hasChanged(transaction, type) && !index.follow(transaction)) this.#indexes.delete(type)
    }
  }

  #index(type: YType): PositionIndex {
    const known = this.#indexes.get(type)
    if (known !== undefined) return known
    const index = new PositionIndex(type, countsFor(type))
    this.#indexes.set(type, index)
    return index
  }
}

/** What counts in a list: characters in a text, everything but formatting marks elsewhere. */
function countsFor(type: YType): (item: Y.Item) => boolean {
  const kind = kindOf(type)
  return kind === 'text' || kind === 'xml-text' ? countsInText : countsInArray
}

function hasChanged(transaction: Y.Transaction, type: YType): boolean {
  return (transaction.changed as unknown as ReadonlyMap<YType, unknown>).has(type)
}

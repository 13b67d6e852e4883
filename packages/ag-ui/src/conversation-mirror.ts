import type * as Y from 'yjs'
import { distinctEntries, messagesRoot, readMessage, type ConversationEntry } from './conversation.ts'

/**
 * The messages of a document as plain values, for whoever compares them with what was there before: an entry that did
 * not change stays the very same object. Follows one document at a time; reading costs what changed and a copy of the
 * list of entries, and a pass over the document's list only when a message came or went.
 */
export class ConversationMirror {
  #doc: Y.Doc | undefined
  #list: Y.Array<unknown> | undefined
  #known = new Map<unknown, ConversationEntry | undefined>()
  /** Where the entry of an item is; empty while some items have none. */
  #places: ReadonlyMap<unknown, number> = new Map()
  #entries: readonly ConversationEntry[] = []
  readonly #changed = new Set<unknown>()
  #isStale = true
  readonly #observer = (events: readonly Y.YEvent<Y.AbstractType<unknown>>[]): void => {
    for (const { target } of events) {
      // Down from the list, every message is one shared type; what changed is somewhere in it.
      let item: Y.AbstractType<unknown> | null = target
      while (item !== null && item.parent !== this.#list) item = item.parent as Y.AbstractType<unknown> | null
      if (item === null) this.#isStale = true
      else {
        this.#known.delete(item)
        this.#changed.add(item)
      }
    }
  }

  /** The messages of `doc` now; the same array as before as long as nothing has changed. */
  read(doc: Y.Doc): readonly ConversationEntry[] {
    if (doc !== this.#doc) this.#follow(doc)
    // A root that nobody has written to is not made by looking for it.
    if (this.#list === undefined && doc.share.has(messagesRoot)) {
      this.#list = doc.getArray(messagesRoot)
      this.#list.observeDeep(this.#observer)
      this.#isStale = true
    }
    if (this.#list === undefined || (!this.#isStale && this.#changed.size === 0)) return this.#entries
    if (this.#isStale || !this.#readChanged()) this.#readAll(this.#list)
    this.#isStale = false
    this.#changed.clear()
    return this.#entries
  }

  /** `false` when other entries are touched by what changed. */
  #readChanged(): boolean {
    const entries = [...this.#entries]
    for (const item of this.#changed) {
      const place = this.#places.get(item)
      const entry = readMessage(item)
      if (place === undefined || entry?.message.id !== entries[place]?.message.id || entry === undefined)
        return false
      entries[place] = entry
      this.#known.set(item, entry)
    }
    this.#entries = entries
    return true
  }

  #readAll(list: Y.Array<unknown>): void {
    const known = new Map<unknown, ConversationEntry | undefined>()
    for (const item of list.toArray())
      known.set(item, this.#known.has(item) ? this.#known.get(item) : readMessage(item))
    this.#known = known
    this.#entries = distinctEntries([...known.values()])
    const isWhole = this.#entries.length === known.size
    this.#places = new Map(isWhole ? [...known.keys()].map((item, index) => [item, index]) : [])
  }

  /** Lets go of the document. */
  destroy(): void {
    this.#follow(undefined)
  }

  #follow(doc: Y.Doc | undefined): void {
    this.#list?.unobserveDeep(this.#observer)
    this.#doc = doc
    this.#list = undefined
    this.#known = new Map()
    this.#places = new Map()
    this.#changed.clear()
    this.#entries = []
    this.#isStale = true
  }
}

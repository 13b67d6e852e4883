import type * as Y from 'yjs'
import { distinctEntries, messagesRoot, readMessage, type ConversationEntry } from './conversation.ts'

/**
 * The messages of a document as plain values, for whoever compares them with what was there before: an entry that did
 * not change stays the very same object. Follows one document at a time; reading costs what changed, and a pass over the
 * list when a message came or went.
 */
export class ConversationMirror {
  #doc: Y.Doc | undefined
  #list: Y.Array<unknown> | undefined
  #known = new Map<unknown, ConversationEntry | undefined>()
  #entries: readonly ConversationEntry[] = []
  #isStale = true
  readonly #observer = (events: readonly Y.YEvent<Y.AbstractType<unknown>>[]): void => {
    this.#isStale = true
    for (const { target } of events) {
      // Down from the list, every message is one shared type; what changed is somewhere in it.
      let item: Y.AbstractType<unknown> | null = target
      while (item !== null && item.parent !== this.#list) item = item.parent as Y.AbstractType<unknown> | null
      if (item !== null) this.#known.delete(item)
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
    if (this.#list === undefined || !this.#isStale) return this.#entries
    this.#isStale = false
    const known = new Map<unknown, ConversationEntry | undefined>()
    for (const item of this.#list)
      known.set(item, this.#known.has(item) ? this.#known.get(item) : readMessage(item))
    this.#known = known
    this.#entries = distinctEntries([...known.values()])
    return this.#entries
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
    this.#entries = []
    this.#isStale = true
  }
}

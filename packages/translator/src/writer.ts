import * as Y from 'yjs'
import type { Moment } from './moment.ts'
import type { Spec } from './spec.ts'
import type { TextEdit } from './text-diff.ts'
import type { Span } from './xml-edit.ts'
import { clockOf, type YType } from './yjs.ts'

/** The id of one unit, which outlives the splitting and merging of items. */
export interface UnitId {
  readonly client: number
  readonly clock: number
}

/** Where to put list elements in: behind a unit (`undefined`: at the start), or at the very end. */
export type Anchor = UnitId | 'end' | undefined

type ItemContent = ConstructorParameters<typeof Y.Item>[7]

/**
 * Makes Yjs items inside one transaction. It integrates items itself instead of going through the methods of the
 * shared types, because only so can an element be placed by its neighbours instead of by an index, and because those
 * methods throw on some JSON (members named `constructor`) in the middle of the work.
 */
export class Writer {
  readonly #transaction: Y.Transaction
  readonly #doc: Y.Doc

  constructor(transaction: Y.Transaction) {
    this.#transaction = transaction
    this.#doc = transaction.doc
  }

  /**
   * Cuts items in front of these units, which edits at many places of one list would do anyway, one after the other.
   * Each cut copies what is right of it; halving first makes that O(n log n) instead of O(n * cuts).
   */
  cut(ids: readonly UnitId[]): void {
    const sorted = ids.toSorted((a, b) => a.client - b.client || a.clock - b.clock)
    const halve = (from: number, to: number): void => {
      if (from >= to) return
      const middle = (from + to) >>> 1
      const id = sorted[middle]
      if (id !== undefined && id.clock < clockOf(this.#doc, id.client))
        Y.getItemCleanStart(this.#transaction, Y.createID(id.client, id.clock))
      halve(from, middle)
      halve(middle + 1, to)
    }
    halve(0, sorted.length)
  }

  setMember(type: YType, key: string, spec: Spec): void {
    const left = type._map.get(key) ?? null
    this.#integrate(left, null, type, key, spec)
  }

  deleteItem(item: Y.Item): void {
    item.delete(this.#transaction)
  }

  /**
   * Puts elements in behind the anchor and whatever others have put there since `moment`, right before the next unit
   * that the moment knows: so insertions at one place stand in the order of their arrival.
   */
  insert(type: YType, anchor: Anchor, moment: Moment, specs: readonly Spec[]): void {
    this.#insertContents(type, this.#leftOf(type, anchor, moment), specs)
    this.#forgetPositions(type)
  }

  /** Deletes units of a list; those that are deleted already stay so. */
  deleteUnits(type: YType, client: number, clock: number, length: number): void {
    const range = Y.createDeleteSet()
    range.clients.set(client, [{ clock, len: length }])
    Y.iterateDeletedStructs(this.#transaction, range, (struct) => {
      if (struct instanceof Y.Item) struct.delete(this.#transaction)
    })
    this.#forgetPositions(type)
  }

  /** Puts a string in, formatted as what stands left of it. */
  insertText(type: YType, anchor: Anchor, moment: Moment, text: TextEdit['insert']): void {
    const left = this.#leftOf(type, anchor, moment)
    this.#add(left, left === null ? type._start : left.right, type, null, new Y.ContentString(text))
    this.#forgetPositions(type)
  }

  /** Puts formatted text in. */
  insertFormatted(type: YType, anchor: Anchor, moment: Moment, spans: readonly Span[]): void {
    if (!(type instanceof Y.Text)) return
    const left = this.#leftOf(type, anchor, moment)
    let index = left === null ? 0 : liveBefore(left) + (left.deleted || !left.countable ? 0 : left.length)
    for (const { text, attributes } of spans) {
      type.insert(index, text, { ...attributes })
      index += text.length
    }
  }

  /** Formats those of the characters that are still there. */
  format(
    type: YType,
    client: number,
    clock: number,
    length: number,
    attributes: Record<string, unknown>,
  ): void {
    if (!(type instanceof Y.Text)) return
    for (let at = clock; at < clock + length;) {
      const item = Y.getItemCleanStart(this.#transaction, Y.createID(client, at))
      const end = Math.min(item.id.clock + item.length, clock + length)
      if (!item.deleted) type.format(liveBefore(item), end - at, { ...attributes })
      at = end
    }
  }

  #leftOf(type: YType, anchor: Anchor, moment: Moment): Y.Item | null {
    const { store } = this.#doc
    if (anchor === 'end') {
      let last = type._start
      while (last !== null && last.right !== null) last = last.right
      return last
    }
    let left =
      anchor === undefined
        ? null
        : Y.getItemCleanEnd(this.#transaction, store, Y.createID(anchor.client, anchor.clock))
    for (;;) {
      const right: Y.Item | null = left === null ? type._start : left.right
      if (right === null) return left
      const presence = moment.of(right)
      if (presence === 'unknown') {
        left = right
        continue
      }
      const first = presence === 'mixed' ? moment.runs(right)[0] : undefined
      if (first?.presence !== 'unknown') return left
      const { client, clock } = right.id
      return Y.getItemCleanEnd(this.#transaction, store, Y.createID(client, clock + first.length - 1))
    }
  }

  #insertContents(type: YType, after: Y.Item | null, specs: readonly Spec[]): void {
    let left = after
    const right = after === null ? type._start : after.right
    let scalars: unknown[] = []
    const flush = (): void => {
      if (scalars.length === 0) return
      left = this.#add(left, right, type, null, new Y.ContentAny(scalars))
      scalars = []
    }
    for (const spec of specs) {
      if (spec.kind === 'any') {
        scalars.push(spec.value)
        continue
      }
      flush()
      left = this.#integrate(left, right, type, null, spec)
    }
    flush()
  }

  #integrate(
    left: Y.Item | null,
    right: Y.Item | null,
    parent: YType,
    key: string | null,
    spec: Spec,
  ): Y.Item {
    switch (spec.kind) {
      case 'any':
        return this.#add(left, right, parent, key, new Y.ContentAny([spec.value]))
      case 'binary':
        return this.#add(left, right, parent, key, new Y.ContentBinary(spec.bytes))
      case 'doc':
        return this.#add(left, right, parent, key, new Y.ContentDoc(referenceTo(spec.doc)))
      case 'map': {
        const type = new Y.Map()
        const item = this.#add(left, right, parent, key, new Y.ContentType(type))
        for (const [member, value] of spec.entries) this.setMember(type, member, value)
        return item
      }
      case 'array': {
        const type = new Y.Array()
        const item = this.#add(left, right, parent, key, new Y.ContentType(type))
        this.#insertContents(type, null, spec.items)
        return item
      }
      case 'text':
      case 'xml-text': {
        const type = spec.kind === 'text' ? new Y.Text() : new Y.XmlText()
        const item = this.#add(left, right, parent, key, new Y.ContentType(type))
        type.applyDelta(
          spec.segments.map(({ insert, attributes }) => ({
            insert: typeof insert === 'string' ? insert : insert.embed,
            attributes,
          })),
        )
        return item
      }
      case 'element': {
        const type = spec.name === undefined ? new Y.XmlFragment() : new Y.XmlElement(spec.name)
        const item = this.#add(left, right, parent, key, new Y.ContentType(type))
        for (const [name, value] of spec.attributes) this.setMember(type, name, value)
        this.#insertContents(type, null, spec.items)
        return item
      }
    }
  }

  #add(
    left: Y.Item | null,
    right: Y.Item | null,
    parent: YType,
    key: string | null,
    content: ItemContent,
  ): Y.Item {
    const { clientID } = this.#doc
    const id = Y.createID(clientID, clockOf(this.#doc, clientID))
    const type = parent as unknown as Y.AbstractType<unknown>
    const item = new Y.Item(id, left, left?.lastId ?? null, right, right?.id ?? null, type, key, content)
    item.integrate(this.#transaction, 0)
    return item
  }

  /** Yjs remembers places in long lists; items that were integrated by hand are not in them. */
  #forgetPositions(type: YType): void {
    if (type._searchMarker !== null) type._searchMarker.length = 0
  }
}

/** The index of an item's first unit, as the methods of a text count. */
function liveBefore(item: Y.Item): number {
  let index = 0
  for (let left = item.left; left !== null; left = left.left)
    if (!left.deleted && left.countable) index += left.length
  return index
}

/** Another handle on the same subdocument: one instance cannot stand in two places. */
function referenceTo(doc: Y.Doc): Y.Doc {
  return new Y.Doc({ guid: doc.guid, meta: doc.meta as unknown, autoLoad: doc.autoLoad, shouldLoad: false })
}

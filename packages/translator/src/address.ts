import type * as Y from 'yjs'
import type { Moment } from './moment.ts'
import { mountedKind, stepTexts, type Layout, type MountPoint, type TextRules } from './mounts.ts'
import { escapeToken } from './pointer.ts'
import { isKnown } from './project.ts'
import { kindOf, parentOf, typeOf, type Kind, type YType } from './yjs.ts'

/** Where a shared type stands in the JSON, both at the baseline and now. */
export interface Address {
  readonly type: YType
  readonly kind: Kind
  readonly pointer: string
  readonly depth: number
  readonly parent: Address | undefined
  readonly rules: TextRules
  /** The last token of the pointer; `undefined` at the top. */
  readonly token: string | number | undefined
}

/** Answers where an item of a list is, counted in what lives. */
export type IndexOf = (item: Y.Item) => number

/**
 * Finds the addresses of shared types by climbing to their roots. A type that was not there at the baseline, or is not
 * there now, has none: what is above it is emitted as a whole. Neither have types inside of a text.
 */
export class Addresses {
  /** Types that have to be emitted as a whole because something inside cannot be addressed. */
  readonly opaque = new Set<YType>()
  readonly #known = new Map<YType, Address | undefined>()
  readonly #moment: Moment
  readonly #indexOf: IndexOf
  readonly #shadowed: ReadonlyMap<YType, ReadonlySet<string>>

  /** @param shadowed keys of mounted maps that do not show */
  constructor(
    roots: Iterable<Address>,
    moment: Moment,
    indexOf: IndexOf,
    shadowed: ReadonlyMap<YType, ReadonlySet<string>>,
  ) {
    this.#shadowed = shadowed
    for (const root of roots) this.#known.set(root.type, root)
    this.#moment = moment
    this.#indexOf = indexOf
  }

  of(type: YType): Address | undefined {
    if (this.#known.has(type)) return this.#known.get(type)
    const address = this.#climb(type)
    this.#known.set(type, address)
    return address
  }

  #climb(type: YType): Address | undefined {
    const item = type._item
    if (item === null || item.deleted || this.#moment.of(item) !== 'visible') return undefined
    const parent = this.of(parentOf(item))
    if (parent === undefined || this.opaque.has(parent.type)) return undefined
    switch (parent.kind) {
      case 'map':
        return this.#member(type, item, parent)
      case 'array':
        return this.#below(type, parent, this.#indexOf(item))
      case 'fragment':
      case 'element': {
        const isText = kindOf(type) === 'xml-text'
        if (item.parentSub !== null) return undefined
        if (isText || this.hasText(parent.type)) {
          this.opaque.add(parent.type)
          return undefined
        }
        const content = `${parent.pointer}/content`
        return this.#below(type, { ...parent, pointer: content }, this.#indexOf(item))
      }
      case 'text':
      case 'xml-text':
        return undefined
    }
  }

  #member(type: YType, item: Y.Item, parent: Address): Address | undefined {
    const key = item.parentSub
    if (key === null || key === '__proto__' || this.#shadowed.get(parent.type)?.has(key)) return undefined
    if (isForbidden(parent.token, key)) {
      this.opaque.add(parent.type)
      return undefined
    }
    return this.#below(type, parent, key)
  }

  #below(type: YType, parent: Address, token: string | number): Address {
    return {
      type,
      kind: kindOf(type) ?? 'map',
      pointer: `${parent.pointer}/${escapeToken(token)}`,
      depth: parent.depth + 1,
      parent: this.#known.get(parent.type) ?? parent,
      rules: stepTexts(parent.rules, token),
      token,
    }
  }

  /** Whether an XML node holds text, then or now: the indexes of its `content` are then not those of its children. */
  hasText(type: YType): boolean {
    for (let item = type._start; item !== null; item = item.right) {
      if (item.deleted && this.#moment.of(item) !== 'visible') continue
      const child = typeOf(item)
      if (child === undefined || kindOf(child) === 'xml-text') return true
    }
    return false
  }
}

/** Paths through `constructor/prototype` are refused by the JSON Patch library that most agents use. */
function isForbidden(parent: string | number | undefined, token: string): boolean {
  return parent === 'constructor' && token === 'prototype'
}

/** The addresses of all roots that are visible now and were at the moment, and those that appeared since. */
export function rootAddresses(
  doc: Y.Doc,
  layout: Layout,
  moment: Moment,
): { roots: Address[]; appeared: Address[] } {
  const roots: Address[] = []
  const appeared: Address[] = []
  const address = (
    type: YType,
    kind: Kind,
    parent: { pointer: string; depth: number; rules: TextRules },
    token: string | undefined,
  ): Address =>
    token === undefined
      ? { type, kind, pointer: '', depth: 0, parent: undefined, rules: parent.rules, token }
      : {
          type,
          kind,
          pointer: `${parent.pointer}/${escapeToken(token)}`,
          depth: parent.depth + 1,
          parent: undefined,
          rules: stepTexts(parent.rules, token),
          token,
        }
  const visit = (
    point: MountPoint,
    pointer: string,
    depth: number,
    rules: TextRules,
    token?: string,
  ): void => {
    const root = point.mount === undefined ? undefined : doc.share.get(point.mount.name)
    if (root !== undefined && point.mount !== undefined)
      roots.push({
        type: root,
        kind: mountedKind(point.mount),
        pointer,
        depth,
        parent: undefined,
        rules,
        token,
      })
    for (const [child, below] of point.children)
      visit(below, `${pointer}/${escapeToken(child)}`, depth + 1, stepTexts(rules, child), child)
  }
  visit(layout.top, '', 0, layout.texts)
  for (const [name, root, kind] of layout.autoRoots(doc)) {
    const found = address(root, kind, { pointer: '', depth: 0, rules: layout.texts }, name)
    ;(isKnown(root, moment) ? roots : appeared).push(found)
  }
  return { roots, appeared }
}

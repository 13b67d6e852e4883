import * as Y from 'yjs'
import { Addresses, rootAddresses, type Address, type IndexOf } from './address.ts'
import { changesSince, type Changes } from './changes.ts'
import { leafJson, memberAt } from './content.ts'
import { diffLines } from './diff-lines.ts'
import { isPrimitive, type JsonValue } from './json-value.ts'
import { hunksOf, type ListHunk } from './list-runs.ts'
import { live, type Moment } from './moment.ts'
import { stepTexts, textMode, type Layout } from './mounts.ts'
import type { PatchOperation, TextSplice } from './patch.ts'
import { escapeToken } from './pointer.ts'
import {
  hasVisible,
  projectAttributes,
  projectContent,
  projectRoot,
  projectType,
  projectUnit,
} from './project.ts'
import type { Unit } from './list-at.ts'
import { textSplices } from './text-splices.ts'
import { countsInArray, typeOf, type YType } from './yjs.ts'

export interface DiffInput {
  readonly doc: Y.Doc
  readonly layout: Layout
  /** What the reader has. */
  readonly since: Moment
  readonly indexOf: IndexOf
  /** Only what is below this type, with pointers relative to it. */
  readonly scope?: Address | undefined
  /** Whether texts may be spliced. */
  readonly splices?: boolean | undefined
}

/** A list or object is replaced as a whole only when it takes more operations than this. */
const operationsMin = 16

/**
 * One RFC 6902 patch from what the reader has to what is there now. Deterministic. Ancestors come before what is below
 * them, so that all pointers are those of the final state. O(changes * depth), plus the size of what is new.
 */
export function diff(input: DiffInput): (PatchOperation | TextSplice)[] {
  if (input.since.isLive) return []
  return new Differ(input).run()
}

class Differ {
  readonly #since: Moment
  readonly #changes: Changes
  readonly #addresses: Addresses
  readonly #indexOf: IndexOf
  readonly #appeared: readonly Address[]
  readonly #mounted: ReadonlyMap<YType, ReadonlySet<string>>
  /** Roots that appear by themselves. */
  readonly #auto: ReadonlySet<YType>
  readonly #splices: boolean
  readonly #patch: (PatchOperation | TextSplice)[] = []
  readonly #replaced = new Set<YType>()

  constructor({ doc, layout, since, indexOf, scope, splices = false }: DiffInput) {
    const { roots, appeared } = rootAddresses(doc, layout, since)
    this.#since = since
    this.#splices = splices
    this.#indexOf = indexOf
    this.#changes = changesSince(doc, since)
    this.#appeared = scope === undefined ? appeared : []
    this.#mounted = layout.shadowedKeys(doc)
    this.#auto = new Set(scope === undefined ? layout.autoRoots(doc).map(([, root]) => root) : [])
    this.#addresses = new Addresses(scope === undefined ? roots : [scope], since, indexOf, this.#mounted)
  }

  run(): (PatchOperation | TextSplice)[] {
    for (const root of this.#appeared) this.#emitRoot(root)
    const dirty = new Set<YType>([...this.#changes.keys.keys(), ...this.#changes.items.keys()])
    const found = new Map<YType, Address>()
    for (const type of dirty) {
      const address = this.#addresses.of(type)
      if (address === undefined) continue
      found.set(type, address)
      this.#markOpaque(type, address)
    }
    // Finding addresses may have found types that have to be emitted as a whole.
    for (const type of this.#addresses.opaque) {
      const address = this.#addresses.of(type)
      if (address !== undefined) found.set(type, address)
    }
    const ordered = [...found.values()].toSorted(
      (a, b) => a.depth - b.depth || (a.pointer < b.pointer ? -1 : a.pointer > b.pointer ? 1 : 0),
    )
    for (const address of ordered) if (!this.#isBelowReplaced(address)) this.#emitType(address)
    return this.#patch
  }

  #markOpaque(type: YType, { kind, token }: Address): void {
    const isXml = kind === 'element' || kind === 'fragment'
    if (isXml && this.#changes.items.has(type) && this.#addresses.hasText(type))
      this.#addresses.opaque.add(type)
    if (kind === 'map' && token === 'constructor' && this.#changes.keys.get(type)?.has('prototype'))
      this.#addresses.opaque.add(type)
  }

  #emitType(address: Address): void {
    // What a root was that held nothing, only its tombstones could tell, and collection takes their kind away. So its
    // reader has it empty or not at all, and gets it whole.
    if (this.#auto.has(address.type) && !this.#showed(address.type, this.#since)) {
      if (this.#showed(address.type, live)) this.#emitRoot(address)
      return
    }
    const keys = this.#changes.keys.get(address.type) ?? new Set<string>()
    const items = this.#changes.items.get(address.type) ?? new Set<Y.Item>()
    switch (address.kind) {
      case 'map':
        if (this.#addresses.opaque.has(address.type)) return this.#replaceWhole(address)
        return this.#emitMap(address, keys)
      case 'array':
        return this.#emitList(address, address.pointer, items)
      case 'text':
        return this.#emitText(address, items)
      case 'element':
      case 'fragment':
        return this.#emitXml(address, keys, items)
      case 'xml-text':
        return
    }
  }

  #emitMap(address: Address, keys: ReadonlySet<string>): void {
    const { type, pointer } = address
    const shadowed = this.#mounted.get(type)
    const patch: PatchOperation[] = []
    for (const key of [...keys].toSorted()) {
      if (key === '__proto__' || shadowed?.has(key)) continue
      const operation = this.#memberOperation(type, key, `${pointer}/${escapeToken(key)}`, address)
      if (operation !== undefined) patch.push(operation)
    }
    this.#emitAll(address, patch, type._map.size)
  }

  #memberOperation(type: YType, key: string, path: string, address: Address): PatchOperation | undefined {
    const then = memberAt(type, key, this.#since)
    const now = memberAt(type, key, live)
    if (now === undefined) return then === undefined ? undefined : { op: 'remove', path }
    if (then !== undefined && isSame(then, now)) return undefined
    const value = projectUnit(now.item, now.offset, stepTexts(address.rules, key), live)
    return { op: 'add', path, value }
  }

  #emitList(address: Address, pointer: string, items: ReadonlySet<Y.Item>): void {
    const hunks = hunksOf(items, this.#since, countsInArray, this.#indexOf)
    const patch: PatchOperation[] = []
    for (const hunk of hunks) this.#listOperations(hunk, pointer, address, patch)
    this.#emitAll(address, patch, address.type._length)
  }

  #listOperations(
    { at, removed, added }: ListHunk,
    pointer: string,
    address: Address,
    patch: PatchOperation[],
  ): void {
    for (const [i, unit] of added.entries()) {
      const path = `${pointer}/${at + i}`
      const value = projectUnit(unit.item, unit.offset, stepTexts(address.rules, at + i), live)
      patch.push({ op: i < removed ? 'replace' : 'add', path, value })
    }
    // From the back, so that a reader that removes one by one moves as little as possible.
    for (let i = removed - 1; i >= added.length; i--)
      patch.push({ op: 'remove', path: `${pointer}/${at + i}` })
  }

  #emitText(address: Address, items: ReadonlySet<Y.Item>): void {
    const { type, pointer, rules } = address
    const visible = [...items].some(
      ({ content }) => content instanceof Y.ContentString || content instanceof Y.ContentDeleted,
    )
    if (!visible) return
    if (textMode(rules) === 'lines') {
      const patch = diffLines(type, this.#since, pointer)
      if (patch !== undefined) {
        this.#emitAll(address, patch, type._length)
        return
      }
    } else if (this.#splices) {
      const edits = textSplices(type, items, this.#since, this.#indexOf, pointer)
      if (edits !== undefined && JSON.stringify(edits).length < type._length) {
        for (const edit of edits) this.#emit(edit)
        return
      }
    }
    this.#replaceWhole(address)
  }

  #emitXml(address: Address, keys: ReadonlySet<string>, items: ReadonlySet<Y.Item>): void {
    const { type, pointer, kind } = address
    if (kind === 'element' && keys.size > 0) this.#emitAttributes(type, pointer, keys)
    const opaque = this.#addresses.opaque.has(type)
    if (items.size === 0 && !opaque) return
    const path = `${pointer}/content`
    if (kind === 'element') {
      const has = hasVisible(type, live)
      if (!has) {
        if (hasVisible(type, this.#since)) this.#emit({ op: 'remove', path })
        return
      }
      if (opaque || !hasVisible(type, this.#since)) {
        this.#replaced.add(type)
        this.#emit({ op: 'add', path, value: projectContent(type, live) })
        return
      }
    } else if (opaque) {
      this.#replaced.add(type)
      this.#emit({ op: 'add', path, value: projectContent(type, live) })
      return
    }
    this.#emitList(address, path, items)
  }

  #emitAttributes(type: YType, pointer: string, keys: ReadonlySet<string>): void {
    const path = `${pointer}/attrs`
    const had = hadAttributes(type, this.#since)
    const attributes = projectAttributes(type, live)
    if (attributes === undefined) {
      if (had) this.#emit({ op: 'remove', path })
      return
    }
    if (!had) {
      this.#emit({ op: 'add', path, value: attributes })
      return
    }
    for (const key of [...keys].toSorted()) {
      if (key === '__proto__') continue
      const then = memberAt(type, key, this.#since)
      const now = memberAt(type, key, live)
      const member = `${path}/${escapeToken(key)}`
      if (now === undefined) {
        if (then !== undefined) this.#emit({ op: 'remove', path: member })
      } else if (then === undefined || !isSame(then, now)) {
        this.#emit({ op: 'add', path: member, value: attributes[key] ?? null })
      }
    }
  }

  /** Emits the operations, or the whole value if that is shorter. */
  #emitAll(address: Address, patch: readonly PatchOperation[], size: number): void {
    const { type, kind, rules } = address
    if (patch.length > operationsMin && patch.length * 4 >= size && address.token !== undefined) {
      const isXml = kind === 'element' || kind === 'fragment'
      const value = isXml ? projectContent(type, live) : projectType(type, kind, rules, live)
      if (!this.#mounted.has(type) && JSON.stringify(value).length < JSON.stringify(patch).length) {
        this.#replaced.add(type)
        if (isXml) this.#emit({ op: 'add', path: `${address.pointer}/content`, value })
        else this.#emitWhole(address, value)
        return
      }
    }
    for (const operation of patch) this.#emit(operation)
  }

  #showed(root: YType, moment: Moment): boolean {
    if (hasVisible(root, moment)) return true
    for (const key of root._map.keys()) if (memberAt(root, key, moment) !== undefined) return true
    return false
  }

  #emitRoot({ type, kind, rules, pointer }: Address): void {
    this.#replaced.add(type)
    this.#emit({ op: 'add', path: pointer, value: projectRoot(type, kind, rules, live) })
  }

  #replaceWhole(address: Address): void {
    this.#replaced.add(address.type)
    this.#emitWhole(address, projectType(address.type, address.kind, address.rules, live))
  }

  #emitWhole({ pointer, token, parent }: Address, value: JsonValue): void {
    const isElement = typeof token === 'number'
    const op = isElement || (parent === undefined && token === undefined) ? 'replace' : 'add'
    this.#emit({ op, path: pointer, value })
  }

  #emit(operation: PatchOperation | TextSplice): void {
    this.#patch.push(operation)
  }

  #isBelowReplaced(address: Address): boolean {
    for (let above = address.parent; above !== undefined; above = above.parent)
      if (this.#replaced.has(above.type)) return true
    return false
  }
}

/** Whether two units are one, or two scalars of the same value. */
function isSame(then: Unit, now: Unit): boolean {
  if (then.item === now.item && then.offset === now.offset) return true
  if (typeOf(then.item) !== undefined || typeOf(now.item) !== undefined) return false
  if (then.item.content instanceof Y.ContentDeleted) return false
  const value = leafJson(then.item, then.offset)
  return isPrimitive(value) && value === leafJson(now.item, now.offset)
}

function hadAttributes(type: YType, moment: Moment): boolean {
  for (const key of type._map.keys())
    if (key !== '__proto__' && memberAt(type, key, moment) !== undefined) return true
  return false
}

import * as Y from 'yjs'
import { keysAt, leafValue, memberAt } from './content.ts'
import { isJsonArray, isJsonObject, toJsonValue, type JsonPrimitive, type JsonValue } from './json-value.ts'
import type { Unit } from './list-at.ts'
import { live } from './moment.ts'
import { stepTexts, textMode, type TextRules } from './mounts.ts'
import type { ListNode, MapNode, Node } from './overlay.ts'
import { forEachVisible } from './project.ts'
import { diffText } from './text-diff.ts'
import { segmentsAt, type Segment } from './xml.ts'
import { specOfChunk, specsOfContent } from './xml-json.ts'
import { countsInArray, kindOf, typeOf, type YType } from './yjs.ts'

/** What is to be created in the document, as data: shared types and what they hold. */
export type Spec =
  | { readonly kind: 'any'; readonly value: JsonPrimitive | JsonValue }
  | { readonly kind: 'binary'; readonly bytes: Uint8Array }
  | { readonly kind: 'doc'; readonly doc: Y.Doc }
  | { readonly kind: 'map'; readonly entries: readonly (readonly [key: string, Spec])[] }
  | { readonly kind: 'array'; readonly items: readonly Spec[] }
  | { readonly kind: 'text' | 'xml-text'; readonly segments: readonly Segment[] }
  | {
      readonly kind: 'element'
      readonly name: string | undefined
      readonly attributes: readonly (readonly [key: string, Spec])[]
      readonly items: readonly Spec[]
    }

/** New JSON: objects become maps, arrays arrays, and strings texts where the rules say so. */
function specOfJson(value: JsonValue, rules: TextRules): Spec {
  const mode = textMode(rules)
  if (typeof value === 'string') return mode === undefined ? { kind: 'any', value } : textSpec(value)
  if (isJsonArray(value)) {
    if (mode === 'lines' && value.every((line) => typeof line === 'string')) return textSpec(value.join('\n'))
    return { kind: 'array', items: value.map((element, i) => specOfJson(element, stepTexts(rules, i))) }
  }
  if (!isJsonObject(value)) return { kind: 'any', value }
  const entries = Object.keys(value)
    .toSorted()
    .map((key) => [key, specOfJson(value[key] ?? null, stepTexts(rules, key))] as const)
  return { kind: 'map', entries }
}

/**
 * A node of the overlay in a new place: what the patch brought, or the living value of what it moved, with its edits.
 * `undefined` for what was skipped or is gone. O(size).
 */
export function specOf(node: Node, rules: TextRules): Spec | undefined {
  if (node.skipped) return undefined
  switch (node.kind) {
    case 'leaf':
      return node.stored === undefined ? specOfJson(node.toJson(), rules) : specOfStored(node.stored)
    case 'text': {
      if (node.base === undefined) return textSpec(node.text)
      const segments = segmentsAt(node.base, live)
      if (!node.isWritten) return { kind: 'text', segments }
      return textSpec(mergeText(node.original, node.text, segments))
    }
    case 'map':
      return { kind: 'map', entries: mapEntries(node, rules) }
    case 'list':
      return { kind: 'array', items: listItems(node, rules) }
    case 'xml': {
      const { attrs, content } = node.touched
      if (node.base !== undefined && attrs === undefined && content === undefined)
        return specOfType(node.base)
      const json = node.toJson()
      return isJsonObject(json) ? specOfChunk({ segments: undefined, element: json }) : undefined
    }
  }
}

/** New elements of a list, in order. In the content of an XML node, neighbouring text nodes become one text. */
export function specsOf(nodes: readonly Node[], isXml: boolean, rules: TextRules): Spec[] {
  const specs: Spec[] = []
  let json: JsonValue[] = []
  for (const node of nodes) {
    if (isXml && node.kind !== 'xml') {
      if (!node.skipped) json.push(node.toJson())
      continue
    }
    specs.push(...specsOfContent(json))
    json = []
    const spec = specOf(node, rules)
    if (spec !== undefined) specs.push(spec)
  }
  return [...specs, ...specsOfContent(json)]
}

/** A unit of the document as it is now, with everything in it. */
function specOfUnit({ item, offset }: Unit): Spec {
  const type = typeOf(item)
  return type === undefined ? specOfStored(leafValue(item, offset)) : specOfType(type)
}

/** A shared type as it is now. */
function specOfType(type: YType): Spec {
  const kind = kindOf(type) ?? 'map'
  switch (kind) {
    case 'map':
      return { kind, entries: liveMembers(type) }
    case 'array':
      return { kind, items: liveElements(type) }
    case 'text':
    case 'xml-text':
      return { kind, segments: segmentsAt(type, live) }
    case 'fragment':
    case 'element': {
      const name = type instanceof Y.XmlElement ? type.nodeName : undefined
      return { kind: 'element', name, attributes: liveMembers(type), items: liveElements(type) }
    }
  }
}

function specOfStored(value: unknown): Spec {
  if (value instanceof Uint8Array) return { kind: 'binary', bytes: value }
  if (value instanceof Y.Doc) return { kind: 'doc', doc: value }
  return specOfJson(toJsonValue(value), undefined)
}

function textSpec(text: string): Spec {
  return { kind: 'text', segments: text === '' ? [] : [{ insert: text, attributes: {} }] }
}

function liveMembers(type: YType): (readonly [string, Spec])[] {
  return keysAt(type, live).flatMap((key) => {
    const unit = memberAt(type, key, live)
    return unit === undefined ? [] : [[key, specOfUnit(unit)] as const]
  })
}

function liveElements(type: YType): Spec[] {
  const items: Spec[] = []
  forEachVisible(type, live, (item, offset) => items.push(specOfUnit({ item, offset })))
  return items
}

function mapEntries(node: MapNode, rules: TextRules): (readonly [string, Spec])[] {
  const entries = new Map<string, Spec>(node.base === undefined ? [] : liveMembers(node.base))
  for (const [key, child] of node.touched()) {
    const isWritten = node.written.has(key) && !node.spared.has(key)
    if (!isWritten && (child?.home === undefined || child.home.item.deleted)) continue
    const spec = child === undefined ? undefined : specOf(child, stepTexts(rules, key))
    if (spec !== undefined) entries.set(key, spec)
    else if (child === undefined && isWritten) entries.delete(key)
  }
  return [...entries].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

function listItems(node: ListNode, rules: TextRules): Spec[] {
  const items: Spec[] = []
  const push = (child: Node): void => {
    const spec = specOf(child, stepTexts(rules, items.length))
    if (spec !== undefined) items.push(spec)
  }
  const others = othersOf(node)
  const pushOthers = (units: readonly Unit[] | undefined): void => {
    for (const unit of units ?? []) items.push(specOfUnit(unit))
  }
  let before: number | undefined
  const flush = (upTo: number): void => {
    if (before !== undefined) pushOthers(others.after.get(before))
    before = upTo
  }
  pushOthers(others.next.get(-1))
  before = -1
  for (const piece of node.pieces.pieces()) {
    if (piece.node !== undefined) {
      if (piece.atEnd) flush(-2)
      push(piece.node)
      continue
    }
    for (let base = piece.from; base < piece.from + piece.length; base++) {
      flush(base)
      const unit = node.list.locate(base)
      const kept = (!piece.removed || node.spared.has(base)) && !unit.item.deleted
      const child = node.touched.get(base)
      if (kept && child !== undefined) push(child)
      else if (kept) items.push(specOfUnit(unit))
      pushOthers(others.next.get(base))
    }
  }
  flush(-2)
  return items
}

/**
 * What others put into a list since the author looked, by the element of the base that it follows: `next` right behind
 * it, `after` only behind something that was deleted before the author looked.
 */
function othersOf(node: ListNode): { next: Map<number, Unit[]>; after: Map<number, Unit[]> } {
  const next = new Map<number, Unit[]>()
  const after = new Map<number, Unit[]>()
  if (node.base === undefined || node.scene === undefined || node.scene.moment.isLive) return { next, after }
  let base = -1
  let target = next
  for (let item = node.base._start; item !== null; item = item.right) {
    for (const { offset, length, presence } of node.scene.moment.runs(item)) {
      if (presence === 'visible' && countsInArray(item)) {
        base += length
        target = next
      } else if (presence !== 'unknown') target = after
      else if (!item.deleted && countsInArray(item)) {
        const units = target.get(base) ?? []
        for (let i = 0; i < length; i++) units.push({ item, offset: offset + i })
        target.set(base, units)
      }
    }
  }
  return { next, after }
}

/** A text as it is now, with the edits that lead from what the author saw to what it wants. */
function mergeText(seen: string, wanted: string, segments: readonly Segment[]): string {
  const current = segments.map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('')
  if (current === seen) return wanted
  // Both went on from what was seen: theirs as edits, the author's edits moved along.
  const theirs = diffText(seen, current)
  let result = current
  for (const edit of diffText(seen, wanted).toReversed()) {
    let shift = 0
    let overlaps = false
    for (const other of theirs) {
      if (other.at + other.remove <= edit.at) shift += other.insert.length - other.remove
      else if (other.at < edit.at + edit.remove) overlaps = true
    }
    const at = edit.at + shift
    result = result.slice(0, at) + edit.insert + result.slice(overlaps ? at : at + edit.remove)
  }
  return result
}

import { keysAt, leafJson, memberAt } from './content.ts'
import {
  isJsonArray,
  isJsonObject,
  jsonEquals,
  toJsonValue,
  type JsonObject,
  type JsonValue,
} from './json-value.ts'
import type { Unit } from './list-at.ts'
import { matchLists } from './list-match.ts'
import type { Scene } from './overlay.ts'
import { projectUnit } from './project.ts'
import { diffText } from './text-diff.ts'
import { structUnits } from './unit-ranges.ts'
import type { Writer } from './writer.ts'
import { markName, segmentToJson, segmentsAt, type Segment } from './xml.ts'
import { chunksOf, specOfChunk, type Chunk } from './xml-json.ts'
import { kindOf, typeOf, type YType } from './yjs.ts'

/** Where edits are collected. */
export interface EditSink {
  add(action: (writer: Writer) => void): void
  remove(type: YType, client: number, clock: number, count: number): void
}

/** A child of an XML node as the author saw it. */
interface Child {
  readonly unit: Unit
  readonly type: YType | undefined
  readonly segments: readonly Segment[] | undefined
  readonly json: JsonValue
}

/**
 * The edits that turn the children of an XML node from what the author saw into `content`, anchored: texts by their
 * characters and marks, elements by their attributes and children, everything else put in or taken out.
 * O(children, plus what differs as in `matchLists` and `diffText`).
 */
export function editContent(
  scene: Scene,
  type: YType,
  content: readonly JsonValue[] | undefined,
  sink: EditSink,
): void {
  const children = childrenOf(scene, type)
  const chunks = chunksOf(content ?? [])
  const partners = pair(children, chunks)
  let anchor: Child | undefined
  let fresh: Chunk[] = []
  const flush = (): void => {
    if (fresh.length === 0) return
    const specs = fresh.map(specOfChunk)
    const after = anchor === undefined ? undefined : idOf(anchor.unit)
    sink.add((writer) => writer.insert(type, after, scene.moment, specs))
    fresh = []
  }
  for (const chunk of chunks) {
    const child = partners.get(chunk)
    if (child === undefined) {
      fresh.push(chunk)
      continue
    }
    flush()
    anchor = child
    editChild(scene, child, chunk, sink)
  }
  flush()
  const kept = new Set(partners.values())
  // The text of a node whose content became empty stays, empty: that is what an empty `content` stands for.
  const spared = content?.length === 0 ? children.find(({ segments }) => segments !== undefined) : undefined
  for (const child of children) {
    if (kept.has(child)) continue
    const { client, clock } = idOf(child.unit)
    if (child === spared && child.type !== undefined)
      editText(scene, child.type, child.segments ?? [], [], sink)
    else sink.remove(type, client, clock, 1)
  }
}

function childrenOf(scene: Scene, type: YType): Child[] {
  const list = scene.listAt(type)
  const children: Child[] = []
  for (let i = 0; i < list.length; i++) {
    const unit = list.locate(i)
    const child = typeOf(unit.item)
    const segments =
      child !== undefined && kindOf(child) === 'xml-text' ? segmentsAt(child, scene.moment) : undefined
    const json = segments?.map(segmentToJson) ?? projectUnit(unit.item, unit.offset, undefined, scene.moment)
    children.push({ unit, type: child, segments, json })
  }
  return children
}

/** Which child becomes which part of the new content: equal ones, then those of the same kind in between. */
function pair(children: readonly Child[], chunks: readonly Chunk[]): Map<Chunk, Child> {
  const partners = new Map<Chunk, Child>()
  const matches = matchLists(
    children.map(({ json }) => [json]),
    chunks.map((chunk) => [jsonOf(chunk)]),
  )
  let [child, chunk] = [0, 0]
  for (const [i, j] of [...matches, [children.length, chunks.length] as const]) {
    for (; chunk < j; chunk++) {
      const wanted = chunks[chunk]
      const found = children.findIndex(
        (each, index) => index >= child && index < i && wanted !== undefined && isSameKind(each, wanted),
      )
      const partner = children[found]
      if (partner === undefined || wanted === undefined) continue
      partners.set(wanted, partner)
      child = found + 1
    }
    const [partner, wanted] = [children[i], chunks[j]]
    if (partner !== undefined && wanted !== undefined) partners.set(wanted, partner)
    ;[child, chunk] = [i + 1, j + 1]
  }
  return partners
}

function jsonOf({ segments, element }: Chunk): JsonValue {
  return segments === undefined ? element : segments.map(segmentToJson)
}

function isSameKind({ segments, json }: Child, chunk: Chunk): boolean {
  if (chunk.segments !== undefined) return segments !== undefined
  return isJsonObject(json) && json['type'] === chunk.element['type']
}

function editChild(scene: Scene, child: Child, chunk: Chunk, sink: EditSink): void {
  const { type, unit, segments, json } = child
  if (type === undefined || unit.item.deleted || jsonEquals(json, jsonOf(chunk))) return
  if (chunk.segments !== undefined) {
    editText(scene, type, segments ?? [], chunk.segments, sink)
    return
  }
  const { attrs, content } = chunk.element
  editAttributes(scene, type, isJsonObject(attrs) ? attrs : {}, sink)
  editContent(scene, type, isJsonArray(content) ? content : undefined, sink)
}

function editAttributes(scene: Scene, type: YType, attributes: JsonObject, sink: EditSink): void {
  for (const name of keysAt(type, scene.moment)) {
    const seen = memberAt(type, name, scene.moment)
    const current = type._map.get(name)
    if (Object.hasOwn(attributes, name) || seen === undefined || current !== seen.item || current.deleted)
      continue
    sink.add((writer) => writer.deleteItem(current))
  }
  for (const name of Object.keys(attributes)) {
    const value = attributes[name] ?? null
    const seen = memberAt(type, name, scene.moment)
    if (seen !== undefined && jsonEquals(leafJson(seen.item, seen.offset), value)) continue
    sink.add((writer) => writer.setMember(type, name, { kind: 'any', value }))
  }
}

function editText(
  scene: Scene,
  type: YType,
  then: readonly Segment[],
  next: readonly Segment[],
  sink: EditSink,
): void {
  const list = scene.listAt(type)
  const names = rawNames(then)
  const wanted = next.map((segment) => ({ ...segment, attributes: named(segment.attributes, names) }))
  const [old, target] = [spansOf(then), spansOf(wanted)]
  const edits = diffText(textOf(then), textOf(wanted))
  // Where both texts go on the same way, only the marks can differ.
  let [from, to] = [0, 0]
  for (const { at, remove, insert } of [...edits, { at: textOf(then).length, remove: 0, insert: '' }]) {
    formatStretch(old, target, from, to, at - from, (start, length, attributes) => {
      for (const { client, clock, count } of structUnits(list, start, length))
        sink.add((writer) => writer.format(type, client, clock, count, attributes))
    })
    to += at - from
    if (insert !== '') {
      const anchor = at === 0 ? undefined : idOf(list.locate(at - 1))
      const pieces = cut(target, to, insert.length)
      sink.add((writer) => writer.insertFormatted(type, anchor, scene.moment, pieces))
    }
    for (const { client, clock, count } of structUnits(list, at, remove))
      sink.remove(type, client, clock, count)
    from = at + remove
    to += insert.length
  }
}

/** A stretch of text with the same attributes. */
export interface Span {
  readonly text: string
  readonly attributes: Readonly<Record<string, unknown>>
}

function spansOf(segments: readonly Segment[]): Span[] {
  return segments.flatMap(({ insert, attributes }) =>
    typeof insert === 'string' ? [{ text: insert, attributes }] : [],
  )
}

function textOf(segments: readonly Segment[]): string {
  return spansOf(segments)
    .map(({ text }) => text)
    .join('')
}

/** The part of spans from a position on. */
function cut(spans: readonly Span[], from: number, length: number): Span[] {
  const parts: Span[] = []
  let position = 0
  for (const { text, attributes } of spans) {
    const start = Math.max(0, from - position)
    const end = Math.min(text.length, from + length - position)
    if (start < end) parts.push({ text: text.slice(start, end), attributes })
    position += text.length
  }
  return parts
}

function formatStretch(
  old: readonly Span[],
  next: readonly Span[],
  from: number,
  to: number,
  length: number,
  format: (start: number, length: number, attributes: Record<string, unknown>) => void,
): void {
  let start = from
  for (const before of cut(old, from, length)) {
    let offset = start - from
    for (const after of cut(next, to + offset, before.text.length)) {
      const change = attributeChange(before.attributes, after.attributes)
      if (change !== undefined) format(from + offset, after.text.length, change)
      offset += after.text.length
    }
    start += before.text.length
  }
}

function attributeChange(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const change: Record<string, unknown> = {}
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) change[name] = null
  for (const name of Object.keys(after))
    if (!jsonEquals(toJsonValue(before[name] ?? null), toJsonValue(after[name]))) change[name] = after[name]
  return Object.keys(change).length > 0 ? change : undefined
}

/** The names under which the text stores its marks, by plain name and value. */
function rawNames(segments: readonly Segment[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const { attributes } of segments)
    for (const name of Object.keys(attributes)) names.set(markKey(markName(name), attributes[name]), name)
  return names
}

function named(
  attributes: Readonly<Record<string, unknown>>,
  names: ReadonlyMap<string, string>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [names.get(markKey(name, value)) ?? name, value]),
  )
}

function markKey(name: string, value: unknown): string {
  return `${name} ${JSON.stringify(toJsonValue(value))}`
}

function idOf({ item, offset }: Unit): { client: number; clock: number } {
  return { client: item.id.client, clock: item.id.clock + offset }
}

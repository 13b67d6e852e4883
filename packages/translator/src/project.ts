import { PolyphonyError } from '@polyphony/core'
import * as Y from 'yjs'
import { keysAt, leafJson, memberAt, textAt } from './content.ts'
import type { JsonObject, JsonValue } from './json-value.ts'
import { live, type Moment } from './moment.ts'
import {
  mountedKind,
  mountedRoot,
  stepTexts,
  textMode,
  type Layout,
  type MountPoint,
  type TextRules,
} from './mounts.ts'
import { segmentToJson, segmentsAt } from './xml.ts'
import { countsInArray, kindOf, typeOf, type Kind, type YType } from './yjs.ts'

/** Nesting that a projection descends into; a document from outside can be deeper than a stack. */
const depthMax = 1_000

/** The whole JSON of a document. O(size of the document at the moment). */
export function projectDocument(doc: Y.Doc, layout: Layout, moment: Moment = live): JsonObject {
  return projectPoint(doc, layout, layout.top, layout.texts, moment)
}

/** The JSON of what is mounted at a point and below. */
function projectMount(
  doc: Y.Doc,
  layout: Layout,
  point: MountPoint,
  rules: TextRules,
  moment: Moment,
): JsonValue {
  const { mount } = point
  if (mount === undefined || mount.kind === 'map') return projectPoint(doc, layout, point, rules, moment)
  return projectRoot(mountedRoot(doc, mount), mountedKind(mount), rules, moment)
}

/** The JSON of a root, which looks empty while the document does not have it. */
export function projectRoot(
  root: YType | undefined,
  kind: Kind,
  rules: TextRules,
  moment: Moment,
): JsonValue {
  if (root !== undefined) return projectType(root, kind, rules, moment)
  switch (kind) {
    case 'map':
      return {}
    case 'array':
      return []
    case 'fragment':
      return { type: 'doc', content: [] }
    case 'text':
      return textMode(rules) === 'lines' ? [''] : ''
    case 'element':
    case 'xml-text':
      return null
  }
}

/** The JSON of one shared type. O(size of what it holds at the moment, and of what was deleted from it). */
export function projectType(type: YType, kind: Kind, rules: TextRules, moment: Moment, depth = 0): JsonValue {
  if (depth > depthMax)
    throw new PolyphonyError('invalid-value', `The document is nested deeper than ${depthMax} levels`)
  switch (kind) {
    case 'map': {
      const object: Record<string, JsonValue> = {}
      for (const key of keysAt(type, moment)) {
        const found = memberAt(type, key, moment)
        if (found !== undefined)
          object[key] = projectUnit(found.item, found.offset, stepTexts(rules, key), moment, depth + 1)
      }
      return object
    }
    case 'array':
      return projectList(type, rules, moment, depth)
    case 'text': {
      const text = textAt(type, moment)
      return textMode(rules) === 'lines' ? text.split('\n') : text
    }
    case 'xml-text':
      return segmentsAt(type, moment).map(segmentToJson)
    case 'fragment':
      return { type: 'doc', content: projectContent(type, moment, depth + 1) }
    case 'element':
      return projectElement(type, moment, depth)
  }
}

/** The JSON of one array element, or of the value of one key. */
export function projectUnit(
  item: Y.Item,
  offset: number,
  rules: TextRules,
  moment: Moment,
  depth = 0,
): JsonValue {
  const type = typeOf(item)
  if (type === undefined) return leafJson(item, offset)
  return projectType(type, kindOf(type) ?? 'map', rules, moment, depth)
}

/** The `attrs` of an XML element; `undefined` when it has none. */
export function projectAttributes(type: YType, moment: Moment): JsonObject | undefined {
  const keys = keysAt(type, moment)
  if (keys.length === 0) return undefined
  const attributes: Record<string, JsonValue> = {}
  for (const key of keys) {
    const found = memberAt(type, key, moment)
    if (found !== undefined) attributes[key] = projectUnit(found.item, found.offset, undefined, moment)
  }
  return attributes
}

/** The `content` of an XML node: elements and, for each of its texts, the text nodes that it consists of. */
export function projectContent(type: YType, moment: Moment, depth = 0): JsonValue[] {
  const nodes: JsonValue[] = []
  forEachVisible(type, moment, (item, offset) => {
    const child = typeOf(item)
    if (child !== undefined && kindOf(child) === 'xml-text') {
      for (const segment of segmentsAt(child, moment)) nodes.push(segmentToJson(segment))
    } else {
      nodes.push(projectUnit(item, offset, undefined, moment, depth + 1))
    }
  })
  return nodes
}

function projectElement(type: YType, moment: Moment, depth: number): JsonObject {
  const node: Record<string, JsonValue> = { type: type instanceof Y.XmlElement ? type.nodeName : 'doc' }
  const attrs = projectAttributes(type, moment)
  if (attrs !== undefined) node['attrs'] = attrs
  if (hasVisible(type, moment)) node['content'] = projectContent(type, moment, depth + 1)
  return node
}

function projectList(type: YType, rules: TextRules, moment: Moment, depth: number): JsonValue[] {
  const elements: JsonValue[] = []
  forEachVisible(type, moment, (item, offset) => {
    const below = rules === undefined ? undefined : stepTexts(rules, elements.length)
    elements.push(projectUnit(item, offset, below, moment, depth + 1))
  })
  return elements
}

/** Calls back for every list unit that the moment shows. */
export function forEachVisible(
  type: YType,
  moment: Moment,
  visit: (item: Y.Item, offset: number) => void,
): void {
  for (let item = type._start; item !== null; item = item.right) {
    const presence = moment.of(item)
    if (presence === 'unknown' || presence === 'hidden' || !countsInArray(item)) continue
    if (presence === 'visible') {
      for (let offset = 0; offset < item.length; offset++) visit(item, offset)
      continue
    }
    for (const run of moment.runs(item)) {
      if (run.presence !== 'visible') continue
      for (let offset = run.offset; offset < run.offset + run.length; offset++) visit(item, offset)
    }
  }
}

/** Whether a list shows anything at the moment. */
export function hasVisible(type: YType, moment: Moment): boolean {
  if (moment.isLive) return type._length > 0
  for (let item = type._start; item !== null; item = item.right) {
    if (countsInArray(item) && moment.count(item) > 0) return true
  }
  return false
}

/** Whether the moment has heard of anything in a root, which is what makes it appear by itself. */
export function isKnown(root: YType, moment: Moment): boolean {
  if (moment.isLive) return root._start !== null || root._map.size > 0
  for (let item = root._start; item !== null; item = item.right) {
    if (moment.of(item) !== 'unknown') return true
  }
  for (const newest of root._map.values()) {
    for (let item: Y.Item | null = newest; item !== null; item = item.left) {
      if (moment.of(item) !== 'unknown') return true
    }
  }
  return false
}

function projectPoint(
  doc: Y.Doc,
  layout: Layout,
  point: MountPoint,
  rules: TextRules,
  moment: Moment,
): JsonObject {
  const root = point.mount === undefined ? undefined : mountedRoot(doc, point.mount)
  const own = root === undefined ? {} : (projectType(root, 'map', rules, moment) as JsonObject)
  const others = new Map<string, JsonValue>()
  if (point === layout.top) {
    for (const [name, auto, kind] of layout.autoRoots(doc)) {
      if (isKnown(auto, moment)) others.set(name, projectRoot(auto, kind, stepTexts(rules, name), moment))
    }
  }
  for (const [token, child] of point.children)
    others.set(token, projectMount(doc, layout, child, stepTexts(rules, token), moment))
  return others.size === 0 ? own : merged(own, others)
}

/** Members of both, sorted; `others` win. */
function merged(own: JsonObject, others: ReadonlyMap<string, JsonValue>): JsonObject {
  const object: Record<string, JsonValue> = {}
  for (const key of new Set([...Object.keys(own), ...others.keys()].toSorted()))
    object[key] = others.get(key) ?? own[key] ?? null
  return object
}

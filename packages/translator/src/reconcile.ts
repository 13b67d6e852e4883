import { isJsonArray, isJsonObject, jsonEquals, type JsonObject, type JsonValue } from './json-value.ts'
import { idOf, matchLists } from './list-match.ts'
import { LeafNode, joinLines, type ListNode, type MapNode, type Node } from './overlay.ts'
import type { XmlNode } from './overlay-xml.ts'
import type { Planner } from './plan.ts'
import { elementProblem } from './xml-json.ts'

type Path = readonly (string | number)[]

/**
 * Whether a node can become the value by edits inside it, instead of being replaced: an object an object with the same
 * `id` or without, an array an array, a text a string. Replacing it would lose what others do in it meanwhile.
 */
export function reconcilable(node: Node, value: JsonValue): boolean {
  switch (node.kind) {
    case 'leaf':
      return false
    case 'map':
      return (node.base !== undefined || node.mounted.size > 0) && isJsonObject(value) && sameId(node, value)
    case 'list':
      return node.base !== undefined && isJsonArray(value)
    case 'text':
      return typeof value === 'string' || (node.mode === 'lines' && isLines(value))
    case 'xml':
      return isJsonObject(value) && value['type'] === node.name
  }
}

/** Edits a node of the overlay until it is the value: what differs from what the author saw, and nothing else. */
export function reconcile(planner: Planner, node: Node, value: JsonValue, path: Path): void {
  if (node.kind === 'map' && isJsonObject(value)) reconcileMap(planner, node, value, path)
  else if (node.kind === 'list' && isJsonArray(value)) reconcileList(planner, node, value, path)
  else if (node.kind === 'xml' && isJsonObject(value)) reconcileXml(planner, node, value, path)
  else if (node.kind === 'text')
    node.text = isJsonArray(value) ? joinLines(value) : typeof value === 'string' ? value : ''
}

export function reconcileMap(planner: Planner, node: MapNode, value: JsonObject, path: Path): void {
  const place = { container: node, blocked: undefined }
  for (const key of node.keys()) {
    if (Object.hasOwn(value, key)) continue
    if (node.mounted.has(key)) planner.report('mounted', [...path, key], true)
    else planner.take(place, key, [...path, key])
  }
  // Sorted, so that equal values make equal updates.
  for (const key of Object.keys(value).toSorted()) planner.put(place, key, [...path, key], value[key] ?? null)
}

function reconcileList(planner: Planner, node: ListNode, value: readonly JsonValue[], path: Path): void {
  const place = { container: node, blocked: undefined }
  const old = node.toJson()
  const matches = matchLists(old, value)
  // From the back, so that the indexes of what is still to be done stay as they are.
  let [oldEnd, nextEnd] = [old.length, value.length]
  for (const [i, j] of [...matches, [-1, -1] as const].toSorted((a, b) => b[0] - a[0])) {
    const removed = oldEnd - i - 1
    const added = nextEnd - j - 1
    const paired = Math.min(removed, added)
    for (let k = added - 1; k >= paired; k--)
      planner.insert(place, i + 1 + removed, new LeafNode(value[j + 1 + k] ?? null))
    for (let k = removed - 1; k >= 0; k--) {
      const index = i + 1 + k
      const next = k < paired ? (value[j + 1 + k] ?? null) : undefined
      if (next !== undefined && reconcilable(node.get(index), next)) {
        planner.put(place, index, [...path, index], next)
        continue
      }
      // Not a replacement: the new element is wanted even if somebody else has removed the old one.
      planner.take(place, index, [...path, index])
      if (next !== undefined) planner.insert(place, index, new LeafNode(next))
    }
    if (i >= 0 && !jsonEquals(old[i], value[j])) planner.put(place, i, [...path, i], value[j] ?? null)
    ;[oldEnd, nextEnd] = [i, j]
  }
}

function reconcileXml(planner: Planner, node: XmlNode, value: JsonObject, path: Path): void {
  const problem = elementProblem(value)
  if (problem !== undefined) throw planner.invalid(problem)
  const { attrs = {}, content } = value
  if (node.isFragment && Object.hasOwn(value, 'attrs')) throw planner.invalid('a root has no "attrs"')
  if (isJsonObject(attrs)) reconcileMap(planner, node.attrs, attrs, [...path, 'attrs'])
  setContent(planner, node, isJsonArray(content) ? content : undefined, [...path, 'content'])
}

/** Gives an XML node new content; `undefined` takes the member away. */
export function setContent(
  planner: Planner,
  node: XmlNode,
  content: readonly JsonValue[] | undefined,
  path: Path,
): void {
  node.contentRemoved = content === undefined
  if (node.holdsText) node.setContent(content ?? [])
  else reconcileList(planner, node.content, content ?? [], path)
}

function sameId(node: MapNode, value: JsonObject): boolean {
  const id = idOf(value)
  const own = node.get('id')
  if (id === undefined || own === undefined || own.kind !== 'leaf') return true
  const old = own.toJson()
  return (typeof old !== 'string' && typeof old !== 'number') || old === id
}

function isLines(value: JsonValue): boolean {
  return isJsonArray(value) && value.every((line) => typeof line === 'string' && !line.includes('\n'))
}

import type * as Y from 'yjs'
import { changesSince, type Changes } from './changes.ts'
import { isJsonArray, isJsonObject, type JsonValue } from './json-value.ts'
import type { ListAt } from './list-at.ts'
import type { Moment } from './moment.ts'
import {
  mountedKind,
  mountedRoot,
  stepTexts,
  type Layout,
  type Mount,
  type MountPoint,
  type TextRules,
} from './mounts.ts'
import { LeafNode, ListNode, MapNode, nodeOfType, type Node, type Scene } from './overlay.ts'
import { XmlNode } from './overlay-xml.ts'
import { parseIndex } from './pointer.ts'
import { isKnown } from './project.ts'
import type { Positions } from './positions.ts'
import type { YType } from './yjs.ts'

/** Provides lists as they were at a moment, each read at most once. */
export function createScene(doc: Y.Doc, moment: Moment, positions: Positions): Scene {
  const lists = new Map<YType, ListAt>()
  let changes: Changes | undefined
  return {
    moment,
    listAt(type) {
      const known = lists.get(type)
      if (known !== undefined) return known
      const list = positions.listAt(type, moment, () => (changes ??= changesSince(doc, moment)))
      lists.set(type, list)
      return list
    },
  }
}

/** The top of the overlay. With `create`, mounted roots that the document does not have yet come into being. */
export function rootNode(scene: Scene, doc: Y.Doc, layout: Layout, create: boolean): MapNode {
  const node = mapNode(scene, doc, layout, layout.top, layout.texts, create)
  for (const [name, root, kind] of layout.autoRoots(doc)) {
    if (isKnown(root, scene.moment))
      node.mounted.set(name, nodeOfType(scene, root, kind, stepTexts(layout.texts, name)))
  }
  return node
}

/** The node that the tokens lead to, or the JSON there when it is inside of one; `undefined` when there is nothing. */
export function follow(root: Node, tokens: readonly string[]): Node | undefined {
  let node: Node = root
  for (const [depth, token] of tokens.entries()) {
    let next: Node | undefined
    if (node instanceof MapNode || node instanceof XmlNode) next = node.get(token)
    else if (node instanceof ListNode) {
      const index = parseIndex(token)
      next = index !== undefined && index < node.pieces.length ? node.get(index) : undefined
    } else {
      const json = followJson(node.toJson(), tokens.slice(depth))
      return json === undefined ? undefined : new LeafNode(json)
    }
    if (next === undefined) return undefined
    node = next
  }
  return node
}

/** The value that the tokens lead to in plain JSON. */
function followJson(value: JsonValue, tokens: readonly string[]): JsonValue | undefined {
  let current: JsonValue | undefined = value
  for (const token of tokens) {
    if (isJsonArray(current)) current = current[parseIndex(token) ?? -1]
    else if (isJsonObject(current) && Object.hasOwn(current, token)) current = current[token]
    else return undefined
  }
  return current
}

function mapNode(
  scene: Scene,
  doc: Y.Doc,
  layout: Layout,
  point: MountPoint,
  rules: TextRules,
  create: boolean,
): MapNode {
  const base = point.mount === undefined ? undefined : rootOf(doc, point.mount, create)
  const node = new MapNode(scene, base, rules)
  for (const [token, child] of point.children)
    node.mounted.set(token, pointNode(scene, doc, layout, child, stepTexts(rules, token), create))
  return node
}

function pointNode(
  scene: Scene,
  doc: Y.Doc,
  layout: Layout,
  point: MountPoint,
  rules: TextRules,
  create: boolean,
): Node {
  const { mount } = point
  if (mount === undefined || mount.kind === 'map') return mapNode(scene, doc, layout, point, rules, create)
  return nodeOfType(scene, rootOf(doc, mount, create), mountedKind(mount), rules)
}

function rootOf(doc: Y.Doc, mount: Mount, create: boolean): YType | undefined {
  const root = mountedRoot(doc, mount)
  if (!create) return root
  switch (mount.kind) {
    case 'map':
      return doc.getMap(mount.name)
    case 'array':
      return doc.getArray(mount.name)
    case 'text':
      return doc.getText(mount.name)
    case 'xml':
      return doc.getXmlFragment(mount.name)
  }
}

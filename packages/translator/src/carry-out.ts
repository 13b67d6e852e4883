import { IdSet } from '@polyphony/core'
import { live, type Moment } from './moment.ts'
import { stepTexts } from './mounts.ts'
import { isDead, type ListNode, type MapNode, type Node, type TextNode } from './overlay.ts'
import type { XmlNode } from './overlay-xml.ts'
import { specOf, specsOf, type Spec } from './spec.ts'
import { diffText } from './text-diff.ts'
import type { Anchor, UnitId, Writer } from './writer.ts'
import { editContent, type EditSink } from './xml-edit.ts'
import type { YType } from './yjs.ts'
import { structUnits } from './unit-ranges.ts'

/** One step of the work on the document. None of them can fail. */
export type Action = (writer: Writer) => void

/** The work that a patch makes. */
export interface Work {
  readonly actions: readonly Action[]
  /** The ids of what the author takes for deleted afterwards, also of what others had deleted before. */
  readonly removed: IdSet
}

/**
 * The work that turns the edits of an overlay into the document: sets and removals of what was edited, on the very
 * items that the author saw. Reads the document as it is, so all of it is collected before any of it is done.
 * O(what the patch touched).
 */
export function workOf(root: Node): Work {
  const work = new Collector()
  visit(root, work)
  return work
}

/** Places of one list that are edited at once from which it pays to cut its items beforehand. */
const cutsMin = 64

class Collector implements Work, EditSink {
  readonly actions: Action[] = []
  readonly removed = new IdSet()
  /** Levels of deleted containers around: what the author removed there stays removed for it, nothing can be done. */
  dead = 0

  add(action: Action, at = this.actions.length): void {
    if (this.dead === 0) this.actions.splice(at, 0, action)
  }

  remove(type: YType, client: number, clock: number, count: number): void {
    this.removed.add(client, clock, count)
    this.add((writer) => writer.deleteUnits(type, client, clock, count))
  }
}

function visit(node: Node, work: Collector): void {
  if (node.skipped) return
  const dead = isDead(node) ? 1 : 0
  work.dead += dead
  switch (node.kind) {
    case 'leaf':
      break
    case 'xml':
      visitXml(node, work)
      break
    case 'map':
      visitMap(node, work)
      break
    case 'list':
      visitList(node, work)
      break
    case 'text':
      visitText(node, work)
      break
  }
  work.dead -= dead
}

function visitMap(node: MapNode, work: Collector): void {
  const { base } = node
  for (const child of node.mounted.values()) visit(child, work)
  for (const child of node.spared.values()) visit(child, work)
  if (base === undefined) return
  for (const [key, child] of node.touched()) {
    const original = node.original(key)
    const inPlace = child?.home !== undefined && child.home.item === original?.item
    if (!node.written.has(key) || inPlace) {
      if (child !== undefined) visit(child, work)
      continue
    }
    if (child === undefined) {
      const current = base._map.get(key)
      if (original !== undefined && !node.spared.has(key)) {
        const { client, clock } = idAt(original)
        work.removed.add(client, clock, 1)
      }
      // What someone else has set meanwhile stays.
      if (current !== undefined && current === original?.item && !current.deleted && !node.spared.has(key))
        work.add((writer) => writer.deleteItem(current))
      continue
    }
    const spec: Spec | undefined =
      node.isPlain && !child.skipped
        ? { kind: 'any', value: child.toJson() }
        : specOf(child, stepTexts(node.rules, key))
    if (spec !== undefined) work.add((writer) => writer.setMember(base, key, spec))
  }
}

function visitList(node: ListNode, work: Collector): void {
  const { base, scene } = node
  if (base === undefined || scene === undefined || !node.isTouched) return
  const { moment } = scene
  let anchor: Anchor
  let nodes: Node[] = []
  let position = 0
  const cuts: UnitId[] = []
  const start = work.actions.length
  const flush = (): void => {
    const specs = specsOf(nodes, node.isXml, stepTexts(node.rules, position))
    if (specs.length > 0) work.add(insertion(node, anchor, moment, specs))
    if (specs.length > 0 && typeof anchor === 'object')
      cuts.push({ client: anchor.client, clock: anchor.clock + 1 })
    position += nodes.length
    nodes = []
  }
  for (const piece of node.pieces.pieces()) {
    if (piece.node !== undefined) {
      if (piece.atEnd && anchor !== 'end') {
        flush()
        anchor = 'end'
      }
      nodes.push(piece.node)
      continue
    }
    flush()
    const { from, length } = piece
    anchor = unitId(node, from + length - 1)
    if (!piece.removed) {
      position += length
      continue
    }
    for (const { client, clock, count, index } of structUnits(node.list, from, length)) {
      if (count === 1 && node.spared.has(index)) continue
      work.remove(base, client, clock, count)
      cuts.push({ client, clock }, { client, clock: clock + count })
    }
  }
  flush()
  if (cuts.length > cutsMin) work.add((writer) => writer.cut(cuts), start)
  for (const child of touchedInPlace(node)) visit(child, work)
}

function insertion(node: ListNode, anchor: Anchor, moment: Moment, specs: readonly Spec[]): Action {
  return (writer) => {
    if (node.base !== undefined) writer.insert(node.base, anchor, moment, specs)
  }
}

/** Elements of the base that are still in their place. */
function* touchedInPlace(node: ListNode): IterableIterator<Node> {
  if (!node.pieces.edited) {
    yield* node.touched.values()
    return
  }
  const indexes = [...node.touched.keys()].toSorted((a, b) => a - b)
  let next = 0
  for (const piece of node.pieces.pieces()) {
    if (piece.node !== undefined) continue
    for (; next < indexes.length && (indexes[next] ?? 0) < piece.from + piece.length; next++) {
      const child = node.touched.get(indexes[next] ?? -1)
      if (child !== undefined && (!piece.removed || node.spared.has(indexes[next] ?? -1))) yield child
    }
  }
}

function visitXml(node: XmlNode, work: Collector): void {
  const { attrs, content } = node.touched
  if (attrs !== undefined) visitMap(attrs, work)
  if (content === undefined || node.base === undefined) return
  if (content.base !== undefined) visitList(content, work)
  else editContent(node.scene, node.base, node.contentRemoved ? undefined : content.toJson(), work)
}

function visitText(node: TextNode, work: Collector): void {
  const { base, scene } = node
  if (base === undefined || scene === undefined || !node.isWritten) return
  const edits = diffText(node.original, node.text)
  if (edits.length === 0) return
  const list = scene.listAt(base)
  // A patch made against what is there now does not have to look for what others put in between.
  const moment = scene.moment.isLive ? live : scene.moment
  for (const { at, remove, insert } of edits) {
    const anchor = at === 0 ? undefined : idAt(list.locate(at - 1))
    for (const { client, clock, count } of structUnits(list, at, remove)) {
      work.remove(base, client, clock, count)
    }
    if (insert !== '') work.add((writer) => writer.insertText(base, anchor, moment, insert))
  }
}

function unitId(node: ListNode, index: number): UnitId {
  return idAt(node.list.locate(index))
}

function idAt({ item, offset }: { item: { id: UnitId }; offset: number }): UnitId {
  return { client: item.id.client, clock: item.id.clock + offset }
}

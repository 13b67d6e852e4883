import { stepTexts } from './mounts.ts'
import { LeafNode, ListNode, MapNode, TextNode, isDead, type Node } from './overlay.ts'
import { XmlNode } from './overlay-xml.ts'
import { refusal, type ConflictReason } from './patch.ts'
import { clip, formatPointer, parseIndex } from './pointer.ts'

/** Where an operation works: an object or array of the overlay, and what stands in the way of it. */
export interface Place {
  readonly container: MapNode | ListNode | XmlNode
  /** The text whose lines the container is. */
  readonly linesOf: TextNode | undefined
  readonly token: string
  readonly blocked: ConflictReason | undefined
}

/** Finds what paths lead to in an overlay. Throws `invalid-patch` where RFC 6902 does. */
export class Walker {
  /** The operation at hand, for errors. */
  at = 0
  /** XML nodes that were passed through, with the operation that did so last. */
  readonly xml = new Map<XmlNode, number>()
  readonly #root: MapNode

  constructor(root: MapNode) {
    this.#root = root
  }

  /** The container that a path ends in. Plain JSON on the way is made editable. */
  place(path: readonly string[]): Place {
    let node: Node = this.#root
    let blocked: ConflictReason | undefined
    for (const [depth, token] of path.slice(0, -1).entries()) {
      const container = this.#container(node, path, depth)
      let next = this.#child(container, token, path)
      blocked ??= stateOf(next)
      const rules = container instanceof XmlNode ? undefined : stepTexts(container.rules, token)
      const expanded = next instanceof LeafNode ? next.expand(rules) : undefined
      if (expanded !== undefined) {
        expanded.skipped = blocked !== undefined
        if (container instanceof MapNode) container.set(token, expanded)
        else if (container instanceof ListNode) container.pieces.replace(Number(token), expanded)
        next = expanded
      }
      node = next
    }
    const container = this.#container(node, path, path.length - 1)
    const token = path.at(-1) ?? ''
    return { container, token, blocked, linesOf: node instanceof TextNode ? node : undefined }
  }

  /** The node at a path, which must exist. */
  read(path: readonly string[]): { node: Node; blocked: ConflictReason | undefined } {
    let node: Node = this.#root
    let blocked: ConflictReason | undefined
    for (const [depth, token] of path.entries()) {
      blocked ??= depth === 0 ? undefined : stateOf(node)
      const expanded: Node = (node instanceof LeafNode ? node.expand(undefined) : undefined) ?? node
      node = this.#child(this.#container(expanded, path, depth), token, path)
    }
    return { node, blocked }
  }

  #container(node: Node, path: readonly string[], depth: number): MapNode | ListNode | XmlNode {
    if (node instanceof MapNode || node instanceof ListNode) return node
    if (node instanceof XmlNode) {
      this.xml.set(node, this.at)
      return node
    }
    if (node instanceof TextNode && node.mode === 'lines') return node.lines
    throw refusal(
      this.at,
      'not-a-container',
      `"${clip(formatPointer(path.slice(0, depth)))}" is neither an object nor an array`,
    )
  }

  #child(container: MapNode | ListNode | XmlNode, token: string, path: readonly string[]): Node {
    if (!(container instanceof ListNode)) {
      const node = container.get(token)
      if (node === undefined) throw this.missing(path)
      return node
    }
    const index = parseIndex(token)
    if (index === undefined || index >= container.pieces.length) throw this.missing(path)
    return container.get(index)
  }

  /** The index that a token stands for; for additions also the one behind the last, and `-`. */
  index(list: ListNode, token: string, path: readonly string[], adds: false): number
  index(list: ListNode, token: string, path: readonly string[], adds: boolean): number | '-'
  index(list: ListNode, token: string, path: readonly string[], adds: boolean): number | '-' {
    if (adds && token === '-') return '-'
    const index = parseIndex(token)
    if (index === undefined)
      throw refusal(this.at, 'invalid-index', `"${clip(token)}" is not an index of an array`)
    if (index >= list.pieces.length + (adds ? 1 : 0)) throw this.missing(path)
    return index
  }

  missing(path: readonly string[]): Error {
    return refusal(this.at, 'missing', `there is nothing at "${clip(formatPointer(path))}"`)
  }
}

/** Why nothing can be done to a node, if so. */
export function stateOf(node: Node): 'target-deleted' | 'depends-on-skipped' | undefined {
  if (node.skipped) return 'depends-on-skipped'
  return isDead(node) ? 'target-deleted' : undefined
}

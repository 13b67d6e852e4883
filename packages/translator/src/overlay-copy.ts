import { ingest, type Intake } from './ingest.ts'
import { LeafNode, ListNode, MapNode, TextNode, type Node } from './overlay.ts'

/**
 * A copy of what the author sees at a node, with texts and bytes kept as what they are. Counts as much as it would if
 * the patch had brought it, so that copies of copies cannot grow without bound. O(size).
 */
export function copyOf(node: Node, intake: Intake, depth: number, index?: number): Node {
  ingest(node.toJson(), intake, depth, index)
  return copy(node)
}

function copy(node: Node): Node {
  switch (node.kind) {
    case 'leaf':
      return new LeafNode(node.toJson(), undefined, node.stored)
    case 'text':
      return new TextNode(undefined, undefined, node.mode, undefined, node.text)
    case 'map': {
      const fresh = new MapNode(undefined, undefined, undefined)
      for (const key of node.keys()) {
        const child = node.get(key)
        if (child !== undefined) fresh.set(key, copy(child))
      }
      return collapse(
        fresh,
        [...fresh.touched()].map(([, child]) => child),
      )
    }
    case 'list': {
      const fresh = new ListNode(undefined, undefined, undefined)
      const children: Node[] = []
      for (let i = 0; i < node.pieces.length; i++) children.push(copy(node.get(i)))
      for (const child of children) fresh.pieces.append(child)
      return collapse(fresh, children)
    }
    case 'xml':
      return new LeafNode(node.toJson())
  }
}

/** What holds nothing but JSON needs no tree of nodes. */
function collapse(node: MapNode | ListNode, children: readonly (Node | undefined)[]): Node {
  const plain = children.every((child) => child instanceof LeafNode && child.stored === undefined)
  return plain ? new LeafNode(node.toJson()) : node
}

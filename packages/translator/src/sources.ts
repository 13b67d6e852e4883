import type * as Y from 'yjs'
import type { Source } from './json-cursor.ts'
import type { Moment } from './moment.ts'
import {
  mountedKind,
  mountedRoot,
  stepTexts,
  type Layout,
  type MountPoint,
  type TextRules,
} from './mounts.ts'
import type { Node } from './overlay.ts'
import { isKnown, projectRoot } from './project.ts'
import { kindOf, type Kind, type YType } from './yjs.ts'

/** The whole document at a moment, to be walked through. */
export function documentSource(doc: Y.Doc, layout: Layout, moment: Moment): Source {
  return pointSource(doc, layout, layout.top, layout.texts, moment)
}

/** What a node of the overlay stands for. Parts that have no shared type of their own are read at once. */
export function nodeSource(node: Node, rules: TextRules): Source {
  if (node.kind === 'leaf') return { json: node.toJson() }
  const { base } = node
  const hasMounts = node.kind === 'map' && (node.mounted.size > 0 || node.isPlain)
  if (base === undefined || hasMounts || (node.kind === 'list' && node.isXml)) return { json: node.toJson() }
  return { type: base, kind: kindOf(base) ?? kindOfNode[node.kind], rules }
}

const kindOfNode = { map: 'map', list: 'array', text: 'text', xml: 'fragment' } as const

function pointSource(
  doc: Y.Doc,
  layout: Layout,
  point: MountPoint,
  rules: TextRules,
  moment: Moment,
): Source {
  const { mount } = point
  if (mount !== undefined && mount.kind !== 'map')
    return rootSource(mountedRoot(doc, mount), mountedKind(mount), rules, moment)
  const members = new Map<string, Source>()
  if (point === layout.top) {
    for (const [name, root, kind] of layout.autoRoots(doc))
      if (isKnown(root, moment)) members.set(name, rootSource(root, kind, stepTexts(rules, name), moment))
  }
  for (const [token, child] of point.children)
    members.set(token, pointSource(doc, layout, child, stepTexts(rules, token), moment))
  return { map: mount === undefined ? undefined : mountedRoot(doc, mount), members, rules }
}

function rootSource(root: YType | undefined, kind: Kind, rules: TextRules, moment: Moment): Source {
  return root === undefined ? { json: projectRoot(root, kind, rules, moment) } : { type: root, kind, rules }
}

import type * as Y from 'yjs'
import { parsePointer } from './pointer.ts'
import { inferKind, kindOf, type Kind, type YType } from './yjs.ts'

export type MountKind = 'map' | 'array' | 'text' | 'xml'

/** A root of the Y.Doc, and how it looks as JSON. */
export interface Mount {
  readonly kind: MountKind
  readonly name: string
}

export const map = (name: string): Mount => ({ kind: 'map', name })
export const array = (name: string): Mount => ({ kind: 'array', name })
export const text = (name: string): Mount => ({ kind: 'text', name })
export const xml = (name: string): Mount => ({ kind: 'xml', name })

/** Roots whose names begin with this never appear by themselves: they hold what is not part of the state. */
export const reservedPrefix = 'polyphony:'

/** How a text looks as JSON: one string, or an array of its lines without their line feeds. */
export type TextMode = 'string' | 'lines'

export interface LayoutOptions {
  /** Name of the root map that is the JSON root unless `mounts` says otherwise. Default `state`. */
  readonly root?: string | undefined
  /** Which root appears at which JSON pointer. */
  readonly mounts?: Readonly<Record<string, Mount>> | undefined
  /**
   * Whether roots that nobody mounted, and whose names do not begin with `polyphony:`, appear under their names, typed by
   * what they hold. Default true.
   */
  readonly auto?: boolean | undefined
  /**
   * Pointers (`*` stands for any one token) at which strings are made `Y.Text`, so that people can type into them, and
   * how these texts are shown: as `string`, or as `lines`, an array with one element per line.
   */
  readonly texts?: Readonly<Record<string, TextMode>> | undefined
}

/** A place in the tree of mount points: what is mounted there, and what is mounted below. */
export interface MountPoint {
  readonly mount: Mount | undefined
  readonly children: ReadonlyMap<string, MountPoint>
}

/** A node of the tree of text patterns. */
interface TextPattern {
  mode: TextMode | undefined
  readonly children: Map<string, TextPattern>
}

/** The text patterns that may still match below a place; `undefined` when none can, which is nearly everywhere. */
export type TextRules = readonly TextPattern[] | undefined

/** Where the roots of a document appear in its JSON. Immutable; shared by everything that reads or writes the view. */
export class Layout {
  readonly top: MountPoint
  readonly auto: boolean
  readonly texts: TextRules
  readonly #mounted = new Set<string>()

  /** Throws `TypeError` for mounts that cannot be: below something that is not a map, `__proto__`, one root twice. */
  constructor(options: LayoutOptions = {}) {
    const { root = 'state', mounts = {}, auto = true, texts = {} } = options
    const wanted = auto && mounts[''] === undefined ? { '': map(root), ...mounts } : mounts
    this.top = this.#mountPoint(options.mounts === undefined ? { '': map(root) } : wanted)
    this.auto = auto
    this.texts = textPatterns(texts)
  }

  /** The roots that nobody mounted and that have content, by name. O(roots of the document). */
  autoRoots(doc: Y.Doc): [name: string, root: YType, kind: Kind][] {
    if (!this.auto) return []
    const found: [string, YType, Kind][] = []
    for (const [name, root] of doc.share) {
      const kind = this.autoKind(name, root)
      if (kind !== undefined) found.push([name, root, kind])
    }
    return found.toSorted(([a], [b]) => (a < b ? -1 : 1))
  }

  /** The keys of mounted maps that do not show, because something is mounted in their place. */
  shadowedKeys(doc: Y.Doc): Map<YType, ReadonlySet<string>> {
    const shadowed = new Map<YType, ReadonlySet<string>>()
    const visit = (point: MountPoint): void => {
      const root = point.mount === undefined ? undefined : doc.share.get(point.mount.name)
      const keys = new Set(point.children.keys())
      if (point === this.top) for (const [name] of this.autoRoots(doc)) keys.add(name)
      if (root !== undefined && keys.size > 0) shadowed.set(root, keys)
      for (const child of point.children.values()) visit(child)
    }
    visit(this.top)
    return shadowed
  }

  /** The text rules for what is below a pointer. */
  textsAt(tokens: readonly string[]): TextRules {
    let rules = this.texts
    for (const token of tokens) rules = stepTexts(rules, token)
    return rules
  }

  /** The kind under which a root appears by itself, if it does. */
  autoKind(name: string, root: YType): Kind | undefined {
    if (!this.auto || this.#mounted.has(name) || this.top.children.has(name)) return undefined
    if (name === '__proto__' || name.startsWith(reservedPrefix)) return undefined
    return root._start === null && root._map.size === 0 ? undefined : inferKind(root)
  }

  #mountPoint(mounts: Readonly<Record<string, Mount>>): MountPoint {
    const top = emptyPoint()
    for (const pointer of Object.keys(mounts).toSorted()) {
      const mount = mounts[pointer]
      if (mount === undefined) continue
      let point = top
      for (const token of parsePointer(pointer)) {
        if (token === '__proto__') throw new TypeError('"__proto__" cannot be part of a mount point')
        if (point.mount !== undefined && point.mount.kind !== 'map')
          throw new TypeError(`Nothing can be mounted at "${pointer}", below a root that is not a map`)
        const next = point.children.get(token) ?? emptyPoint()
        point.children.set(token, next)
        point = next
      }
      if (point === top && mount.kind !== 'map')
        throw new TypeError('The JSON root is an object: mount a map at ""')
      if (this.#mounted.has(mount.name)) throw new TypeError(`The root "${mount.name}" is mounted twice`)
      this.#mounted.add(mount.name)
      point.mount = mount
    }
    return top
  }
}

/** The kind of a mounted root. A root fragment is `fragment`, whatever its class. */
export function mountedKind(mount: Mount): Kind {
  return mount.kind === 'xml' ? 'fragment' : mount.kind
}

/** The root of a mount, once the document has it. Throws `TypeError` when the application typed it differently. */
export function mountedRoot(doc: Y.Doc, mount: Mount): YType | undefined {
  const root = doc.share.get(mount.name)
  if (root === undefined) return undefined
  const kind = kindOf(root)
  if (kind !== undefined && kind !== mountedKind(mount))
    throw new TypeError(
      `The root "${mount.name}" is mounted as ${mount.kind}, but the document uses it as ${kind}`,
    )
  return root
}

/** The rules for what is under `token`. */
export function stepTexts(rules: TextRules, token: string | number): TextRules {
  if (rules === undefined) return undefined
  const next: TextPattern[] = []
  for (const rule of rules) {
    const exact = rule.children.get(String(token))
    if (exact !== undefined) next.push(exact)
    const any = rule.children.get('*')
    if (any !== undefined && any !== exact) next.push(any)
  }
  return next.length > 0 ? next : undefined
}

/** What the rules say of this very place. */
export function textMode(rules: TextRules): TextMode | undefined {
  return rules?.find((rule) => rule.mode !== undefined)?.mode
}

function textPatterns(texts: Readonly<Record<string, TextMode>>): TextRules {
  const top: TextPattern = { mode: undefined, children: new Map() }
  for (const pattern of Object.keys(texts).toSorted()) {
    let node = top
    for (const token of parsePointer(pattern)) {
      const next = node.children.get(token) ?? { mode: undefined, children: new Map() }
      node.children.set(token, next)
      node = next
    }
    node.mode = texts[pattern]
  }
  return top.children.size > 0 ? [top] : undefined
}

interface GrowingPoint {
  mount: Mount | undefined
  readonly children: Map<string, GrowingPoint>
}

function emptyPoint(): GrowingPoint {
  return { mount: undefined, children: new Map() }
}

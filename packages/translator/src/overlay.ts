import * as Y from 'yjs'
import { keysAt, leafJson, leafValue, memberAt, textAt } from './content.ts'
import { isJsonArray, isJsonObject, type JsonValue } from './json-value.ts'
import type { ListAt, Unit } from './list-at.ts'
import { live, type Moment } from './moment.ts'
import { stepTexts, textMode, type TextMode, type TextRules } from './mounts.ts'
import { XmlNode } from './overlay-xml.ts'
import { PieceList } from './piece-list.ts'
import { projectType, projectUnit } from './project.ts'
import { kindOf, typeOf, type Kind, type YType } from './yjs.ts'

/**
 * The overlay is the JSON that the author of a patch sees, as a tree that is read lazily from the document at a moment
 * and that takes the patch's edits without touching the document. Nodes that come from the document (`base`) remember
 * it, so that carrying out the edits later touches exactly what was edited.
 */
export type Node = LeafNode | MapNode | ListNode | TextNode | XmlNode

/** What the nodes of one overlay share. */
export interface Scene {
  readonly moment: Moment
  /** A list, or the characters of a text, as it was at the moment; read at most once. */
  listAt(type: YType): ListAt
}

export interface NodeState {
  /** The unit of the document that it was read from; `undefined` for what the patch brings. */
  readonly home: Unit | undefined
  /** It is part of what a skipped operation would have brought. */
  skipped: boolean
}

/** Whether what the author saw has been deleted since. */
export function isDead(node: Node): boolean {
  return node.home !== undefined && node.home.item.deleted
}

/** A value without identity of its own: a scalar, bytes, or JSON that is not (yet) made of shared types. */
export class LeafNode implements NodeState {
  readonly kind = 'leaf'
  readonly home: Unit | undefined
  skipped = false
  readonly #json: JsonValue | undefined
  readonly #stored: unknown

  /** @param stored what the document is to store, if that is not JSON: bytes or a subdocument */
  constructor(json: JsonValue | undefined, home?: Unit, stored?: unknown) {
    this.#json = json
    this.home = home
    this.#stored = stored
  }

  toJson(): JsonValue {
    if (this.#json !== undefined) return this.#json
    return this.home === undefined ? null : leafJson(this.home.item, this.home.offset)
  }

  /** What the document stores for it when that is not JSON: bytes or a subdocument. */
  get stored(): unknown {
    const stored = this.home === undefined ? this.#stored : leafValue(this.home.item, this.home.offset)
    return stored instanceof Uint8Array || stored instanceof Y.Doc ? stored : undefined
  }

  /** The same value as a node that can be edited below. */
  expand(rules: TextRules): MapNode | ListNode | undefined {
    const json = this.toJson()
    if (isJsonObject(json)) {
      const node = new MapNode(undefined, undefined, rules)
      for (const key of Object.keys(json)) node.set(key, new LeafNode(json[key] ?? null))
      return node
    }
    if (isJsonArray(json)) {
      const node = new ListNode(undefined, undefined, rules)
      for (const element of json) node.pieces.append(new LeafNode(element))
      return node
    }
    return undefined
  }
}

/** An object: a Y.Map, the JSON root, or what the patch brings. */
export class MapNode implements NodeState {
  readonly kind = 'map'
  readonly scene: Scene | undefined
  readonly base: YType | undefined
  readonly rules: TextRules
  readonly home: Unit | undefined
  skipped = false
  /** Its values are stored as plain JSON: the attributes of an XML element. */
  isPlain = false
  /** Members that are mounted roots: they can be edited, but neither set nor removed. */
  readonly mounted = new Map<string, Node>()
  /** Keys that the patch has set or removed. */
  readonly written = new Set<string>()
  /** Members that were only taken out for a move which did not arrive. */
  readonly spared = new Map<string, Node>()
  readonly #entries = new Map<string, Node | null>()

  constructor(scene: Scene | undefined, base: YType | undefined, rules: TextRules, home?: Unit) {
    this.scene = scene
    this.base = base
    this.rules = rules
    this.home = home
  }

  /** The value that the author saw at the key before the patch. */
  original(key: string): Unit | undefined {
    return this.base === undefined || this.scene === undefined
      ? undefined
      : memberAt(this.base, key, this.scene.moment)
  }

  get(key: string): Node | undefined {
    const mounted = this.mounted.get(key)
    if (mounted !== undefined) return mounted
    const known = this.#entries.get(key)
    if (known !== undefined) return known ?? undefined
    const unit = key === '__proto__' ? undefined : this.original(key)
    if (unit === undefined || this.scene === undefined) return undefined
    const node = nodeOf(this.scene, unit, stepTexts(this.rules, key))
    this.#entries.set(key, node)
    return node
  }

  set(key: string, node: Node): void {
    this.#entries.set(key, node)
    this.written.add(key)
  }

  delete(key: string): void {
    this.#entries.set(key, null)
    this.written.add(key)
  }

  keys(): string[] {
    const keys = new Set(this.mounted.keys())
    if (this.base !== undefined && this.scene !== undefined)
      for (const key of keysAt(this.base, this.scene.moment)) keys.add(key)
    for (const [key, node] of this.#entries) {
      if (node !== null) keys.add(key)
      else if (!this.mounted.has(key)) keys.delete(key)
    }
    return [...keys].toSorted()
  }

  /** The members that were looked at or written, which is where edits can be. */
  *touched(): IterableIterator<[key: string, node: Node | undefined]> {
    for (const [key, node] of this.#entries) if (!this.mounted.has(key)) yield [key, node ?? undefined]
  }

  toJson(): JsonValue {
    const object: Record<string, JsonValue> = {}
    for (const key of this.keys()) object[key] = this.get(key)?.toJson() ?? null
    return object
  }

  /** Its value in the document as it is now, without the patch. */
  liveJson(): JsonValue {
    return this.base === undefined ? this.toJson() : projectType(this.base, 'map', this.rules, live)
  }
}

/** An array: a Y.Array, or what the patch brings. */
export class ListNode implements NodeState {
  readonly kind = 'list'
  readonly scene: Scene | undefined
  readonly base: YType | undefined
  readonly rules: TextRules
  readonly home: Unit | undefined
  skipped = false
  /** Its elements are XML nodes, stored as such. */
  isXml = false
  /** Elements of the base that were looked at, by their index at the moment. */
  readonly touched = new Map<number, Node>()
  /** Elements of the base that are not removed after all, because what was to take their place was skipped. */
  readonly spared = new Set<number>()
  /** For replacements that were skipped: the element of the base that is still there instead. */
  readonly standIns = new Map<Node, number>()
  #pieces: PieceList<Node> | undefined
  #list: ListAt | undefined

  constructor(scene: Scene | undefined, base: YType | undefined, rules: TextRules, home?: Unit) {
    this.scene = scene
    this.base = base
    this.rules = rules
    this.home = home
  }

  /** The base as the author saw it. */
  get list(): ListAt {
    if (this.base === undefined || this.scene === undefined) return emptyList
    return (this.#list ??= this.scene.listAt(this.base))
  }

  get pieces(): PieceList<Node> {
    return (this.#pieces ??= new PieceList(this.list.length))
  }

  /** Whether the patch may have changed it or something in it. */
  get isTouched(): boolean {
    return this.#pieces !== undefined
  }

  get(index: number): Node {
    const element = this.pieces.at(index)
    return element.node ?? this.original(element.base)
  }

  /** An element of the base by its index at the moment. */
  original(base: number): Node {
    const known = this.touched.get(base)
    if (known !== undefined) return known
    if (this.scene === undefined) throw new RangeError('A list without base has no base elements')
    const node = nodeOf(this.scene, this.list.locate(base), stepTexts(this.rules, base))
    this.touched.set(base, node)
    return node
  }

  toJson(): JsonValue[] {
    const elements: JsonValue[] = []
    for (const piece of this.pieces.pieces()) {
      if (piece.node !== undefined) elements.push(piece.node.toJson())
      else if (!piece.removed)
        for (let base = piece.from; base < piece.from + piece.length; base++)
          elements.push(this.#elementJson(base))
    }
    return elements
  }

  /** Its value in the document as it is now, without the patch. */
  liveJson(): JsonValue {
    return this.base === undefined ? this.toJson() : projectType(this.base, 'array', this.rules, live)
  }

  #elementJson(base: number): JsonValue {
    const node = this.touched.get(base)
    if (node !== undefined || this.scene === undefined) return node?.toJson() ?? null
    const { item, offset } = this.list.locate(base)
    return projectUnit(item, offset, stepTexts(this.rules, base), this.scene.moment)
  }
}

/** A Y.Text, or a string that is to become one. */
export class TextNode implements NodeState {
  readonly kind = 'text'
  readonly scene: Scene | undefined
  readonly base: YType | undefined
  readonly mode: TextMode
  readonly home: Unit | undefined
  skipped = false
  #text: string | undefined
  #lines: ListNode | undefined

  constructor(scene: Scene | undefined, base: YType | undefined, mode: TextMode, home?: Unit, text?: string) {
    this.scene = scene
    this.base = base
    this.mode = mode
    this.home = home
    this.#text = text
  }

  /** The text that the author saw before the patch. */
  get original(): string {
    return this.base === undefined || this.scene === undefined ? '' : textAt(this.base, this.scene.moment)
  }

  /** The text as the patch has it so far. */
  get text(): string {
    if (this.#lines !== undefined) return joinLines(this.#lines.toJson())
    return this.#text ?? this.original
  }

  set text(text: string) {
    this.#text = text
    this.#lines = undefined
  }

  get isWritten(): boolean {
    return this.#text !== undefined || this.#lines !== undefined
  }

  /** The lines as a list that can be edited. Every element must stay a string without line feed. */
  get lines(): ListNode {
    if (this.#lines === undefined) {
      const lines = new ListNode(undefined, undefined, undefined)
      for (const line of this.text.split('\n')) lines.pieces.append(new LeafNode(line))
      this.#lines = lines
    }
    return this.#lines
  }

  toJson(): JsonValue {
    if (this.mode === 'string') return this.text
    return this.#lines?.toJson() ?? this.text.split('\n')
  }

  /** Its value in the document as it is now, without the patch. */
  liveJson(): JsonValue {
    const text = this.base === undefined ? this.text : textAt(this.base, live)
    return this.mode === 'string' ? text : text.split('\n')
  }
}

/** The text of lines; what is not a string is no line. */
export function joinLines(lines: readonly JsonValue[]): string {
  return lines.map((line) => (typeof line === 'string' ? line : '')).join('\n')
}

/** The node of a unit, by what it holds. */
function nodeOf(scene: Scene, unit: Unit, rules: TextRules): Node {
  const type = typeOf(unit.item)
  return type === undefined
    ? new LeafNode(undefined, unit)
    : nodeOfType(scene, type, kindOf(type) ?? 'map', rules, unit)
}

/** The node of a shared type, nested or root. */
export function nodeOfType(
  scene: Scene,
  type: YType | undefined,
  kind: Kind,
  rules: TextRules,
  home?: Unit,
): Node {
  switch (kind) {
    case 'map':
      return new MapNode(scene, type, rules, home)
    case 'array':
      return new ListNode(scene, type, rules, home)
    case 'text':
      return new TextNode(scene, type, textMode(rules) ?? 'string', home)
    case 'fragment':
    case 'element':
    case 'xml-text':
      return new XmlNode(scene, type, home)
  }
}

const emptyList: ListAt = {
  length: 0,
  locate: (index) => {
    throw new RangeError(`There is no element ${index}`)
  },
}

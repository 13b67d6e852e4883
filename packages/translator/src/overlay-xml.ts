import type { Unit } from './list-at.ts'
import { isJsonObject, jsonEquals, type JsonValue } from './json-value.ts'
import { live } from './moment.ts'
import { LeafNode, ListNode, MapNode, type Node, type NodeState, type Scene } from './overlay.ts'
import { forEachVisible, hasVisible, projectContent, projectRoot } from './project.ts'
import { contentProblem, elementProblem } from './xml-json.ts'
import * as Y from 'yjs'
import { kindOf, typeOf, type YType } from './yjs.ts'

/**
 * An XML element or fragment as an object with `type`, `attrs` and `content`. Content without text is a list of
 * elements like any other list. Content with text is edited as JSON, since the text nodes that the author sees are not
 * things of the document; what changed in it is found by comparison when the patch is carried out.
 */
export class XmlNode implements NodeState {
  readonly kind = 'xml'
  readonly scene: Scene
  readonly base: YType | undefined
  readonly home: Unit | undefined
  skipped = false
  /** Whether the patch took the member `content` away. */
  contentRemoved = false
  #attrs: MapNode | undefined
  #content: ListNode | undefined
  /** The content with text that the author saw. */
  #seen: readonly JsonValue[] = []

  constructor(scene: Scene, base: YType | undefined, home?: Unit) {
    this.scene = scene
    this.base = base
    this.home = home
  }

  /** Whether it is a root, whose type is always `doc` and which has no attributes. */
  get isFragment(): boolean {
    return !(this.base instanceof Y.XmlElement)
  }

  get name(): string {
    return this.base instanceof Y.XmlElement ? this.base.nodeName : 'doc'
  }

  get attrs(): MapNode {
    if (this.#attrs === undefined) {
      this.#attrs = new MapNode(this.scene, this.isFragment ? undefined : this.base, undefined)
      this.#attrs.isPlain = true
    }
    return this.#attrs
  }

  get content(): ListNode {
    if (this.#content === undefined) {
      if (this.holdsText && this.base !== undefined) {
        this.#seen = projectContent(this.base, this.scene.moment)
        this.#content = listOf(this.#seen)
      } else this.#content = new ListNode(this.scene, this.base, undefined)
      this.#content.isXml = true
    }
    return this.#content
  }

  /** Whether the author sees text directly in it. */
  get holdsText(): boolean {
    let holds = false
    if (this.base !== undefined)
      forEachVisible(this.base, this.scene.moment, (item) => {
        const child = typeOf(item)
        holds ||= child !== undefined && kindOf(child) === 'xml-text'
      })
    return holds
  }

  /** Gives content with text new content. */
  setContent(content: readonly JsonValue[]): void {
    this.#content = listOf(content)
    this.#content.isXml = true
  }

  /** The parts that the patch looked at, which is where edits can be. */
  get touched(): { readonly attrs: MapNode | undefined; readonly content: ListNode | undefined } {
    return { attrs: this.#attrs, content: this.#content }
  }

  get(token: string): Node | undefined {
    if (token === 'type') return new LeafNode(this.name)
    if (token === 'attrs') return this.attrs.keys().length > 0 ? this.attrs : undefined
    return token === 'content' && this.#hasContent() ? this.content : undefined
  }

  /** What in it cannot be stored, if anything. */
  problem(): string | undefined {
    const { content } = this.touched
    if (content === undefined) return undefined
    if (content.base === undefined) {
      const json = content.toJson()
      return jsonEquals(json, this.#seen) ? undefined : contentProblem(json)
    }
    for (const piece of content.pieces.pieces()) {
      const problem = piece.node === undefined ? undefined : elementProblem(piece.node.toJson())
      if (problem !== undefined) return problem
    }
    return undefined
  }

  toJson(): JsonValue {
    if (this.#attrs === undefined && this.#content === undefined)
      return projectRoot(this.base, this.#kind, undefined, this.scene.moment)
    const json: Record<string, JsonValue> = { type: this.name }
    const attrs = this.attrs.toJson()
    if (isJsonObject(attrs) && Object.keys(attrs).length > 0) json['attrs'] = attrs
    if (this.#hasContent()) json['content'] = this.content.toJson()
    return json
  }

  /** Its value in the document as it is now, without the patch. */
  liveJson(): JsonValue {
    return projectRoot(this.base, this.#kind, undefined, live)
  }

  get #kind(): 'element' | 'fragment' {
    return this.isFragment ? 'fragment' : 'element'
  }

  #hasContent(): boolean {
    if (this.isFragment || (this.#content?.pieces.length ?? 0) > 0) return true
    return !this.contentRemoved && this.base !== undefined && hasVisible(this.base, this.scene.moment)
  }
}

function listOf(content: readonly JsonValue[]): ListNode {
  const list = new ListNode(undefined, undefined, undefined)
  for (const node of content) list.pieces.append(new LeafNode(node))
  return list
}

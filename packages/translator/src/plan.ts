import { PolyphonyError } from '@polyphony/core'
import { ingest, type Intake } from './ingest.ts'
import { isJsonArray, isJsonObject, jsonEquals, type JsonValue } from './json-value.ts'
import { LeafNode, MapNode, isDead, type ListNode, type Node, type Scene } from './overlay.ts'
import { copyOf } from './overlay-copy.ts'
import { XmlNode } from './overlay-xml.ts'
import { refusal, type Conflict, type ConflictReason, type Step } from './patch.ts'
import { clip, formatPointer } from './pointer.ts'
import { reconcilable, reconcile, reconcileMap, setContent } from './reconcile.ts'
import { Walker, stateOf, type Place } from './walk.ts'

/** A place whose container can be edited member by member or element by element. */
interface EditablePlace {
  readonly container: MapNode | ListNode
  readonly blocked: ConflictReason | undefined
}

/**
 * Carries out a patch on the overlay, one operation after the other, exactly as RFC 6902 says, and notes where the
 * document has moved on meanwhile. Throws for what the RFC calls an error; the document is not touched at all.
 */
export class Planner {
  readonly conflicts: Conflict[] = []
  readonly #scene: Scene
  readonly #root: MapNode
  readonly #intake: Intake
  readonly #strict: boolean
  readonly #liveRoot: () => JsonValue
  #step: Step | undefined
  readonly #walker: Walker
  #wrote = false

  /** @param liveRoot the whole state as it is now, for `test` in strict mode */
  constructor(scene: Scene, root: MapNode, intake: Intake, strict: boolean, liveRoot: () => JsonValue) {
    this.#scene = scene
    this.#root = root
    this.#walker = new Walker(root)
    this.#intake = intake
    this.#strict = strict
    this.#liveRoot = liveRoot
  }

  run(step: Step): void {
    this.#step = step
    this.#walker.at = step.index
    const { op, path } = step
    switch (op) {
      case 'test':
        return this.#test(step)
      case 'add':
      case 'replace': {
        const place = path.length === 0 ? undefined : this.#walker.place(path)
        const value = this.#ingest(step)
        if (place === undefined) this.#assignRoot(value)
        else this.#write(place, path, value, undefined, op === 'add')
        break
      }
      case 'remove':
        if (path.length === 0) throw this.#refuse('root', 'the whole document cannot be removed')
        this.#remove(this.#walker.place(path), path)
        break
      case 'copy':
        this.#copy(step)
        break
      case 'move':
        this.#move(step)
        break
      case 'splice':
        this.#splice(step)
        break
    }
    this.#wrote = true
  }

  /** Notes a conflict of the operation at hand. */
  report(reason: ConflictReason, path: readonly (string | number)[], skipped: boolean): void {
    const { index, op } = this.#step ?? { index: 0, op: 'replace' as const }
    this.conflicts.push({ index, op, reason, path: formatPointer(path), skipped })
  }

  /** Checks what can only be checked at the end: JSON in the content of XML nodes may have been edited in parts. */
  finish(): void {
    for (const [node, index] of this.#walker.xml) {
      const problem = node.problem()
      if (problem !== undefined)
        throw new PolyphonyError('invalid-value', `Operation ${index}: ${problem}`, { index })
    }
  }

  /** Sets a member, or what is at an index, in the way that keeps most of what is there. */
  put(
    place: EditablePlace,
    key: string | number,
    path: readonly (string | number)[],
    value: JsonValue,
    node?: Node,
  ): void {
    const { container, blocked } = place
    const old = container instanceof MapNode ? container.get(String(key)) : container.get(Number(key))
    if (old !== undefined && (old.kind === 'leaf' || old.kind === 'text') && jsonEquals(old.toJson(), value))
      return
    if (
      old !== undefined &&
      blocked === undefined &&
      !isDead(old) &&
      !old.skipped &&
      reconcilable(old, value)
    ) {
      reconcile(this, old, value, path)
      return
    }
    const fresh = node ?? new LeafNode(value)
    if (container instanceof MapNode) {
      const member = String(key)
      if (member === '__proto__') throw this.invalid('the key "__proto__" is refused')
      if (container.mounted.has(member))
        throw this.invalid(`"${clip(member)}" is a mounted root of another kind; it cannot become this value`)
      if (blocked === undefined) {
        const reason = this.#memberConflict(container, member)
        if (reason !== undefined)
          this.report(reason === 'already-deleted' ? 'key-deleted-concurrently' : reason, path, false)
      }
      if (blocked !== undefined) {
        fresh.skipped = true
        // What was not replaced is still there for the author.
        if (old !== undefined) container.spared.set(member, old)
      }
      container.set(member, fresh)
      return
    }
    const gone = blocked ?? (old === undefined ? undefined : stateOf(old))
    if (gone !== undefined) {
      if (blocked === undefined) this.report(gone, path, true)
      fresh.skipped = true
      // What was not replaced is still there for the author.
      const { base = old && container.standIns.get(old) } = container.pieces.at(Number(key))
      if (base !== undefined) {
        container.spared.add(base)
        container.standIns.set(fresh, base)
      }
    }
    container.pieces.replace(Number(key), fresh)
  }

  /** Removes a member or element of the overlay. */
  take(place: EditablePlace, key: string | number, path: readonly (string | number)[]): void {
    const { container, blocked } = place
    if (container instanceof MapNode) {
      const member = String(key)
      const reason = blocked === undefined ? this.#memberConflict(container, member) : undefined
      if (reason !== undefined) this.report(reason, path, true)
      container.spared.delete(member)
      container.delete(member)
      return
    }
    const standsFor = container.standIns.get(container.get(Number(key)))
    if (standsFor !== undefined) container.spared.delete(standsFor)
    if (blocked === undefined && !this.#scene.moment.isLive) {
      const gone = stateOf(container.get(Number(key)))
      if (gone !== undefined) this.report(gone === 'target-deleted' ? 'already-deleted' : gone, path, true)
    }
    container.pieces.remove(Number(key))
  }

  /** Puts an element in. */
  insert(place: EditablePlace, index: number | '-', node: Node): void {
    const { container, blocked } = place
    if (container instanceof MapNode) return
    node.skipped ||= blocked !== undefined
    if (index === '-') container.pieces.append(node)
    else container.pieces.insert(index, node)
  }

  #test(step: Step): void {
    const { index, path, value = null } = step
    const { node, blocked } = this.#walker.read(path)
    if (!jsonEquals(node.toJson(), value))
      throw new PolyphonyError(
        'test-failed',
        `Operation ${index}: the value at "${clip(formatPointer(path))}" is another`,
        { index },
      )
    // What the patch itself wrote before cannot be compared with the document.
    if (!this.#strict || this.#scene.moment.isLive || this.#wrote) return
    if (blocked !== undefined || stateOf(node) !== undefined || !jsonEquals(this.#liveJson(node), value))
      this.report('test-failed', path, true)
  }

  #liveJson(node: Node): JsonValue {
    if (node === this.#root) return this.#liveRoot()
    if (node.kind === 'leaf') return node.toJson()
    return node.liveJson()
  }

  #assignRoot(value: JsonValue): void {
    if (!isJsonObject(value)) throw this.invalid('the whole state is always an object')
    reconcile(this, this.#root, value, [])
  }

  /** `add`, `replace`, and the second half of `copy` and `move`. */
  #write(
    place: Place,
    path: readonly string[],
    value: JsonValue,
    node: Node | undefined,
    adds: boolean,
  ): void {
    const { container, token, blocked, linesOf } = place
    if (linesOf !== undefined && (typeof value !== 'string' || value.includes('\n')))
      throw this.invalid('a line of a text is a string without line feed')
    if (blocked !== undefined) this.report(blocked, path, true)
    if (container instanceof XmlNode) {
      if (!adds && container.get(token) === undefined) throw this.#walker.missing(path)
      this.#writeXml(container, token, path, value)
      return
    }
    if (container instanceof MapNode) {
      if (!adds && container.get(token) === undefined) throw this.#walker.missing(path)
      this.put({ container, blocked }, token, path, value, node)
      return
    }
    const index = this.#walker.index(container, token, path, adds)
    if (adds) this.insert({ container, blocked }, index, node ?? new LeafNode(value))
    else this.put({ container, blocked }, index, path, value, node)
  }

  /** Sets a member of an XML node. */
  #writeXml(node: XmlNode, token: string, path: readonly string[], value: JsonValue): void {
    if (token === 'attrs' && isJsonObject(value) && !node.isFragment)
      reconcileMap(this, node.attrs, value, path)
    else if (token === 'content' && isJsonArray(value)) setContent(this, node, value, path)
    else if (token === 'type' && typeof value === 'string' && !node.isFragment) {
      if (value === node.name) return
      // Yjs cannot rename an element: another one takes its place, with the same content.
      const whole = node.toJson()
      const parent = path.slice(0, -1)
      if (isJsonObject(whole))
        this.#write(this.#walker.place(parent), parent, { ...whole, type: value }, undefined, false)
    } else throw this.invalid('an XML node has "type", "attrs" and "content", a root only "content"')
  }

  #remove(place: Place, path: readonly string[]): void {
    const { container, token, blocked } = place
    if (blocked !== undefined) this.report(blocked, path, true)
    if (container instanceof XmlNode) {
      if (container.get(token) === undefined) throw this.#walker.missing(path)
      if (token === 'attrs') reconcileMap(this, container.attrs, {}, path)
      else if (token === 'content' && !container.isFragment) setContent(this, container, undefined, path)
      else throw this.invalid(`the "${clip(token)}" of an XML node cannot be removed`)
    } else if (container instanceof MapNode) {
      if (container.mounted.has(token))
        throw this.#refuse('mounted', `"${clip(token)}" is a mounted root, which stays`)
      if (container.get(token) === undefined) throw this.#walker.missing(path)
      this.take({ container, blocked }, token, path)
    } else {
      this.take({ container, blocked }, this.#walker.index(container, token, path, false), path)
    }
  }

  #copy({ from, path }: Step): void {
    const { node } = this.#walker.read(from)
    const copy = copyOf(node, this.#intake, path.length, this.#step?.index)
    if (path.length === 0) this.#assignRoot(copy.toJson())
    else this.#write(this.#walker.place(path), path, copy.toJson(), copy, true)
  }

  #move({ from, path }: Step): void {
    const { node } = this.#walker.read(from)
    if (from.length === path.length && from.every((token, i) => token === path[i])) return
    if (from.length < path.length && from.every((token, i) => token === path[i]))
      throw this.#refuse('move-into-child', 'a value cannot be moved into itself')
    if (from.length === 0) throw this.#refuse('root', 'the whole document cannot be moved')
    // Bounds the depth at the new place, and counts what has to be written there.
    const copy = copyOf(node, this.#intake, path.length, this.#step?.index)
    const source = this.#walker.place(from)
    const { container, token } = source
    if (container instanceof MapNode && container.mounted.has(token))
      throw this.#refuse('mounted', `"${clip(token)}" is a mounted root, which stays`)
    const gone = source.blocked ?? stateOf(node)
    const undo = this.#detach(source)
    if (path.length === 0) {
      this.#assignRoot(copy.toJson())
      return
    }
    const target = this.#walker.place(path)
    if (gone !== undefined) {
      // Both halves are skipped; the overlay still shows what the author expects.
      if (target.blocked === undefined) this.report(gone, path, true)
      this.#write({ ...target, blocked: target.blocked ?? gone }, path, copy.toJson(), copy, true)
      return
    }
    if (target.blocked !== undefined) undo()
    this.#write(target, path, copy.toJson(), target.linesOf === undefined ? node : undefined, true)
  }

  /** A string with another stretch in it; what of it is a text in the document is merged as one. */
  #splice({ path, splice = { index: 0, remove: 0, insert: '' } }: Step): void {
    const { index, remove, insert } = splice
    const text = this.#walker.read(path).node.toJson()
    if (typeof text !== 'string' || path.length === 0)
      throw this.#refuse('not-a-string', `"${clip(formatPointer(path))}" is not a string`)
    if (index + remove > text.length || cutsPair(text, index) || cutsPair(text, index + remove))
      throw this.#refuse('invalid-splice', 'it reaches beyond the string or cuts a surrogate pair')
    const next = text.slice(0, index) + insert + text.slice(index + remove)
    const value = ingest(next, this.#intake, path.length, this.#step?.index)
    this.#write(this.#walker.place(path), path, value, undefined, false)
  }

  /** Takes out the source of a move. Returns what spares it after all, when it cannot arrive. */
  #detach({ container, token }: Place): () => void {
    if (container instanceof XmlNode) throw this.invalid('the parts of an XML node cannot be moved')
    if (container instanceof MapNode) {
      const node = container.get(token)
      container.delete(token)
      return () => {
        if (node !== undefined) container.spared.set(token, node)
      }
    }
    const index = Number(token)
    const element = container.pieces.at(index)
    container.pieces.remove(index)
    return () => {
      if (element.node === undefined) container.spared.add(element.base)
    }
  }

  /** What others did to the key since the author looked, unless the patch itself has set it. */
  #memberConflict(map: MapNode, key: string): 'already-deleted' | 'key-set-concurrently' | undefined {
    if (map.base === undefined || this.#scene.moment.isLive) return undefined
    const written = map.written.has(key)
    if (written && map.get(key) !== undefined) return undefined
    const original = map.original(key)
    const newest = map.base._map.get(key)
    const current = newest === undefined || newest.deleted ? undefined : newest
    const isSame =
      original !== undefined && original.item === current && original.offset === current.length - 1
    if (isSame) return undefined
    if (current !== undefined) return 'key-set-concurrently'
    return original === undefined || written ? undefined : 'already-deleted'
  }

  #ingest(step: Step): JsonValue {
    return ingest(step.value, this.#intake, step.path.length, step.index)
  }

  #refuse(reason: string, message: string): PolyphonyError {
    return refusal(this.#step?.index ?? 0, reason, message)
  }

  /** An error about the value of the operation at hand. */
  invalid(message: string): PolyphonyError {
    const index = this.#step?.index
    return new PolyphonyError('invalid-value', `Operation ${index ?? 0}: ${message}`, { index })
  }
}

function cutsPair(text: string, index: number): boolean {
  const [high, low] = [text.charCodeAt(index - 1), text.charCodeAt(index)]
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000
}

import { isObject, type Json, type Operation } from './json.ts'

/**
 * What a patch against an older version means, on plain lists and without Yjs.
 *
 * Every edit has a number. An element or member is a unit that knows which edit made it and which edits removed it, and
 * a version is the set of edits that somebody has seen. A path is resolved among what was visible at the version;
 * what is found there is what the operation is about, wherever it is by now.
 */
export class Model {
  readonly root: ObjectNode = { kind: 'object', members: new Map() }
  #edits = 0

  /** Everything that happened so far. */
  get now(): Seen {
    return new Set(Array.from({ length: this.#edits }, (_, i) => i + 1))
  }

  json(seen: Seen = this.now): Json {
    return toJson(this.root, seen)
  }

  /** Carries the patch out as of `seen`, which afterwards contains the new edit. */
  apply(patch: readonly Operation[], seen: Set<number>): Met[] {
    const live = new Set(this.now)
    this.#edits += 1
    const edit = this.#edits
    seen.add(edit)
    live.add(edit)
    const ghosts: Ghost[] = []
    const conflicts = patch.flatMap((operation, index) => {
      const outcome = new Step(this.root, seen, live, edit, ghosts).run(operation)
      return outcome === 'done' ? [] : [{ index, skipped: outcome === 'skipped' }]
    })
    // What could not be inserted was there for the later operations of the same patch only.
    for (const { unit, list, hides } of ghosts) {
      list.splice(list.indexOf(unit), 1)
      hides?.removed.delete(edit)
    }
    return conflicts
  }
}

/** An operation that met what others did meanwhile. */
export interface Met {
  readonly index: number
  readonly skipped: boolean
}

export type Seen = ReadonlySet<number>
type Outcome = 'done' | 'won' | 'skipped'
type Node = Json | ObjectNode | ArrayNode
interface Unit {
  readonly made: number
  readonly node: Node
  readonly removed: Set<number>
}
interface ArrayNode {
  readonly kind: 'array'
  readonly units: Unit[]
}
/** Per key all units that ever were, in the order of arrival; the last one that was seen is what the key holds. */
interface ObjectNode {
  readonly kind: 'object'
  readonly members: Map<string, Unit[]>
}
interface Ghost {
  readonly unit: Unit
  readonly list: Unit[]
  /** What it would have replaced. */
  hides?: Unit
}

class Step {
  readonly #root: ObjectNode
  readonly #seen: Seen
  readonly #live: Seen
  readonly #edit: number
  readonly #ghosts: Ghost[]

  constructor(root: ObjectNode, seen: Seen, live: Seen, edit: number, ghosts: Ghost[]) {
    this.#root = root
    this.#seen = seen
    this.#live = live
    this.#edit = edit
    this.#ghosts = ghosts
  }

  run(operation: Operation): Outcome {
    const tokens = operation.path.split('/').slice(1).map(unescape)
    const last = tokens.pop() as string
    let node: Node = this.#root
    let alive = true
    for (const token of tokens) {
      const unit: Unit | undefined = find(node, token, this.#seen)
      if (unit === undefined)
        throw new Error(`the generator made a path that leads nowhere: ${operation.path}`)
      // A member counts as alive when nothing took its place, an element when nobody removed it.
      alive &&= isAlive(node, token, unit, this.#live) && !this.#ghosts.some((ghost) => ghost.unit === unit)
      node = unit.node
    }
    if (isArrayNode(node)) return this.#onArray(node, last, operation, alive)
    if (isObjectNode(node)) return this.#onObject(node, last, operation, alive)
    throw new Error('the generator made a path into a scalar')
  }

  #onArray(array: ArrayNode, token: string, operation: Operation, alive: boolean): Outcome {
    if (operation.op === 'add') {
      const unit = this.#unit(operation.value as Json)
      if (token === '-') array.units.push(unit)
      else this.#insert(array, Number(token), unit)
      if (!alive) this.#ghosts.push({ unit, list: array.units })
      return alive ? 'done' : 'skipped'
    }
    const unit = visible(array.units, this.#seen)[Number(token)] as Unit
    const ghost = this.#ghosts.find((each) => each.unit === unit)
    const there = alive && ghost === undefined && visible([unit], this.#live).length > 0
    if (operation.op === 'replace') {
      const next = this.#unit(operation.value as Json)
      this.#putBeside(array, unit, next)
      if (!there) {
        // Its author keeps the old one in its place, so that later indexes are those that the author expects.
        this.#ghosts.push({ unit: next, list: array.units, ...(ghost === undefined ? { hides: unit } : {}) })
      }
    }
    // It may be gone already; now it is for its author, too, and so is what it would have replaced.
    if (operation.op === 'remove') delete ghost?.hides
    unit.removed.add(this.#edit)
    // What a patch inserts and removes again never was: it leaves nothing behind that others could stand beside.
    if (unit.made === this.#edit && ghost === undefined) array.units.splice(array.units.indexOf(unit), 1)
    return there ? 'done' : 'skipped'
  }

  /** Immediately before the next unit that belonged to the author's structure, removed ones included. */
  #insert(array: ArrayNode, index: number, unit: Unit): void {
    const left = index === 0 ? undefined : visible(array.units, this.#seen)[index - 1]
    let at = left === undefined ? 0 : array.units.indexOf(left) + 1
    while (at < array.units.length && !this.#seen.has((array.units[at] as Unit).made)) at += 1
    array.units.splice(at, 0, unit)
  }

  /** In the place of an element: behind what stood left of it for the author, before or in this patch. */
  #putBeside(array: ArrayNode, replaced: Unit, unit: Unit): void {
    const stood = ({ made, removed }: Unit): boolean =>
      made === this.#edit
        ? removed.size === 0
        : this.#seen.has(made) && ![...removed].some((edit) => edit !== this.#edit && this.#seen.has(edit))
    const units = array.units.slice(0, array.units.indexOf(replaced))
    let at = units.findLastIndex(stood) + 1
    while (!this.#seen.has((array.units[at] as Unit).made)) at += 1
    array.units.splice(at, 0, unit)
  }

  #onObject(object: ObjectNode, key: string, operation: Operation, alive: boolean): Outcome {
    const chain = object.members.get(key) ?? []
    object.members.set(key, chain)
    // A patch is judged by its net effect: what it set itself and sets or removes again was never there for others,
    // and what they did to the key was a conflict of the first time.
    const own = chain.findIndex((unit) => unit.made === this.#edit)
    if (own >= 0) {
      const ghost = this.#ghosts.findIndex(({ unit }) => unit === chain[own])
      if (ghost >= 0) this.#ghosts.splice(ghost, 1)
      chain.splice(own, 1)
    }
    const theirs = current(chain, this.#live)
    const mine = current(chain, this.#seen)
    const same = own >= 0 || theirs === mine
    if (operation.op === 'remove') {
      mine?.removed.add(this.#edit)
      return alive && same ? 'done' : 'skipped'
    }
    const unit = this.#unit(operation.value as Json)
    chain.push(unit)
    if (!alive) {
      const hides = chain.find((each) => each.removed.has(this.#edit))
      this.#ghosts.push({ unit, list: chain, ...(hides === undefined ? {} : { hides }) })
    }
    // The last one to arrive wins.
    return !alive ? 'skipped' : same ? 'done' : 'won'
  }

  #unit(value: Json): Unit {
    return { made: this.#edit, node: toNode(value, this.#edit), removed: new Set() }
  }
}

function unescape(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~')
}

function visible(units: readonly Unit[], seen: Seen): Unit[] {
  return units.filter((unit) => seen.has(unit.made) && ![...unit.removed].some((edit) => seen.has(edit)))
}

function current(chain: readonly Unit[], seen: Seen): Unit | undefined {
  const last = chain.findLast((unit) => seen.has(unit.made))
  return last !== undefined && visible([last], seen).length > 0 ? last : undefined
}

function find(node: Node, token: string, seen: Seen): Unit | undefined {
  if (isArrayNode(node)) return visible(node.units, seen)[Number(token)]
  if (isObjectNode(node)) return current(node.members.get(token) ?? [], seen)
  return undefined
}

function isAlive(node: Node, token: string, unit: Unit, live: Seen): boolean {
  if (isArrayNode(node)) return visible([unit], live).length > 0
  return isObjectNode(node) && current(node.members.get(token) ?? [], live) === unit
}

function isArrayNode(node: Node): node is ArrayNode {
  return isObject(node) && node.kind === 'array' && 'units' in node
}

function isObjectNode(node: Node): node is ObjectNode {
  return isObject(node) && node.kind === 'object' && node.members instanceof Map
}

function toNode(value: Json, made: number): Node {
  const unit = (part: Json): Unit => ({ made, node: toNode(part, made), removed: new Set() })
  if (Array.isArray(value)) return { kind: 'array', units: value.map(unit) }
  if (!isObject(value)) return value
  return {
    kind: 'object',
    members: new Map(Object.entries(value).map(([key, part]) => [key, [unit(part)]])),
  }
}

function toJson(node: Node, seen: Seen): Json {
  if (isArrayNode(node)) return visible(node.units, seen).map((unit) => toJson(unit.node, seen))
  if (!isObjectNode(node)) return node
  const object: { [key: string]: Json } = {}
  for (const [key, chain] of node.members) {
    const unit = current(chain, seen)
    if (unit !== undefined) object[key] = toJson(unit.node, seen)
  }
  return object
}

import { PolyphonyError } from '@polyphony/core'
import * as Y from 'yjs'
import { leafValue, memberAt, textAt } from './content.ts'
import {
  isJsonArray,
  isJsonObject,
  toJsonValue,
  type JsonObject,
  type JsonPrimitive,
  type JsonValue,
} from './json-value.ts'
import type { Moment } from './moment.ts'
import { stepTexts, textMode, type TextRules } from './mounts.ts'
import { hasVisible, projectAttributes } from './project.ts'
import { SortedKeys } from './sorted-keys.ts'
import { segmentToJson, segmentsAt } from './xml.ts'
import { countsInArray, kindOf, typeOf, type Kind, type YType } from './yjs.ts'

/**
 * What a step of a cursor found: the begin of an object or array, a value in it (or the whole), the end of the innermost
 * one, or the end of all. `pause`: nothing yet, but there was work to do.
 */
export type JsonStep = 'object' | 'array' | 'value' | 'close' | 'pause' | 'end'

/**
 * What stands at some place of the JSON: a shared type; a map with members of their own in it; the content of an XML node;
 * what Yjs stores as it is; or JSON.
 */
export type Source =
  | { readonly type: YType; readonly kind: Kind; readonly rules: TextRules }
  | {
      readonly map: YType | undefined
      readonly members: ReadonlyMap<string, Source>
      readonly rules: TextRules
    }
  | { readonly content: YType }
  | { readonly raw: unknown }
  | { readonly json: JsonValue }

/**
 * Walks through the JSON of a document at a version, step by step and without building it; members in the order of their
 * names. Between two steps the document may change as it likes; the version has to stay readable.
 * A step costs about a microsecond, a `pause` up to a quarter of a millisecond. Exceptions: a text, and what a member of an object stores, are taken at once.
 */
export class JsonCursor {
  readonly #momentNow: () => Moment
  readonly #levels: Level[] = []
  #source: Source | undefined
  #key: string | undefined
  #value: JsonPrimitive = null

  /**
   * @param momentNow what the version means for the document as it is now; throws when it is no longer readable
   */
  constructor(source: Source, momentNow: () => Moment) {
    this.#source = source
    this.#momentNow = momentNow
  }

  /** After `object`, `array` and `value`: its name, if it is a member of an object. */
  get key(): string | undefined {
    return this.#key
  }

  /** After `value`: the value. */
  get value(): JsonPrimitive {
    return this.#value
  }

  next(): JsonStep {
    const moment = this.#momentNow()
    if (this.#source !== undefined) {
      const source = this.#source
      this.#source = undefined
      return this.#enter(source, moment)
    }
    const level = this.#levels.at(-1)
    if (level === undefined) return 'end'
    const found = level.next(moment)
    if (found === 'pause') return 'pause'
    if (found === undefined) {
      this.#levels.pop()
      return 'close'
    }
    this.#key = level.key
    return this.#enter(found, moment)
  }

  #enter(source: Source, moment: Moment): JsonStep {
    if ('raw' in source) return this.#enterRaw(source.raw)
    if ('json' in source) return this.#enterJson(source.json)
    if ('members' in source)
      return this.#open('object', new MapLevel(source.map, source.rules, source.members))
    if ('content' in source) return this.#open('array', new ContentLevel(source.content))
    const { type, kind, rules } = source
    switch (kind) {
      case 'map':
        return this.#open('object', new MapLevel(type, rules))
      case 'array':
        return this.#open('array', new ListLevel(type, rules))
      case 'text': {
        const text = textAt(type, moment)
        return this.#enterJson(textMode(rules) === 'lines' ? text.split('\n') : text)
      }
      case 'fragment':
        return this.#open('object', new XmlLevel(type, 'doc', undefined, true))
      case 'element': {
        const name = type instanceof Y.XmlElement ? type.nodeName : 'doc'
        return this.#open(
          'object',
          new XmlLevel(type, name, projectAttributes(type, moment), hasVisible(type, moment)),
        )
      }
      case 'xml-text':
        return this.#enterJson(segmentsAt(type, moment).map(segmentToJson))
    }
  }

  #enterRaw(raw: unknown): JsonStep {
    if (Array.isArray(raw))
      return this.#open('array', new ElementsLevel(raw, (element) => ({ raw: element })))
    if (isPlainObject(raw)) return this.#open('object', new StoredLevel(raw))
    return this.#enterJson(raw instanceof Y.Doc ? { $subdoc: raw.guid } : toJsonValue(raw))
  }

  #enterJson(json: JsonValue): JsonStep {
    if (isJsonArray(json))
      return this.#open('array', new ElementsLevel(json, (element) => ({ json: element })))
    if (isJsonObject(json)) return this.#open('object', new MembersLevel(json))
    this.#value = json
    return 'value'
  }

  #open(step: 'object' | 'array', level: Level): JsonStep {
    if (this.#levels.length > depthMax)
      throw new PolyphonyError('invalid-value', `The document is nested deeper than ${depthMax} levels`)
    this.#levels.push(level)
    return step
  }
}

const depthMax = 10_000
const noMembers: ReadonlyMap<string, Source> = new Map()

/** An object or array that is being walked through. */
interface Level {
  /** The name of what `next` gave last; absent in arrays. */
  readonly key: string | undefined
  next(moment: Moment): Source | 'pause' | undefined
}

class MapLevel implements Level {
  key: string | undefined
  readonly #type: YType | undefined
  readonly #rules: TextRules
  readonly #members: ReadonlyMap<string, Source>
  readonly #keys: SortedKeys

  constructor(type: YType | undefined, rules: TextRules, members: ReadonlyMap<string, Source> = noMembers) {
    this.#type = type
    this.#rules = rules
    this.#members = members
    this.#keys = new SortedKeys(keysOf(type, members))
  }

  next(moment: Moment): Source | 'pause' | undefined {
    for (let misses = 0; misses < missesMax; misses++) {
      const key = this.#keys.next()
      if (key === false) return 'pause'
      if (key === undefined) return undefined
      this.key = key
      const member = this.#members.get(key)
      if (member !== undefined) return member
      const found = this.#type === undefined ? undefined : memberAt(this.#type, key, moment)
      if (found !== undefined) return sourceOf(found.item, found.offset, stepTexts(this.#rules, key))
    }
    return 'pause'
  }
}

class ListLevel implements Level {
  readonly key = undefined
  readonly #units: ListUnits
  readonly #rules: TextRules
  #count = 0

  constructor(type: YType, rules: TextRules) {
    this.#units = new ListUnits(type)
    this.#rules = rules
  }

  next(moment: Moment): Source | 'pause' | undefined {
    const unit = this.#units.next(moment)
    if (unit === undefined || unit === 'pause') return unit
    const below = this.#rules === undefined ? undefined : stepTexts(this.#rules, this.#count)
    this.#count += 1
    return sourceOf(unit.item, unit.offset, below)
  }
}

/** `{ type, attrs?, content? }`: an element, or the whole fragment. */
class XmlLevel implements Level {
  key: string | undefined
  readonly #parts: [string, Source][]

  constructor(type: YType, name: string, attrs: JsonValue | undefined, hasContent: boolean) {
    this.#parts = [['type', { json: name }]]
    if (attrs !== undefined) this.#parts.push(['attrs', { json: attrs }])
    if (hasContent) this.#parts.push(['content', { content: type }])
  }

  next(): Source | undefined {
    const part = this.#parts.shift()
    this.key = part?.[0]
    return part?.[1]
  }
}

/** The nodes in an XML node: elements and, for each of its texts, the text nodes that it consists of. */
class ContentLevel implements Level {
  readonly key = undefined
  readonly #units: ListUnits
  readonly #texts: Source[] = []

  constructor(type: YType) {
    this.#units = new ListUnits(type)
  }

  next(moment: Moment): Source | 'pause' | undefined {
    const text = this.#texts.shift()
    if (text !== undefined) return text
    const unit = this.#units.next(moment)
    if (unit === undefined || unit === 'pause') return unit
    const child = typeOf(unit.item)
    if (child === undefined || kindOf(child) !== 'xml-text')
      return sourceOf(unit.item, unit.offset, undefined)
    for (const segment of segmentsAt(child, moment)) this.#texts.push({ json: segmentToJson(segment) })
    return 'pause'
  }
}

class ElementsLevel<T> implements Level {
  readonly key = undefined
  readonly #elements: readonly T[]
  readonly #sourceOf: (element: T) => Source
  #at = 0

  constructor(elements: readonly T[], toSource: (element: T) => Source) {
    this.#elements = elements
    this.#sourceOf = toSource
  }

  next(): Source | undefined {
    const at = this.#at++
    return at < this.#elements.length ? this.#sourceOf(this.#elements[at] as T) : undefined
  }
}

/** A plain object as Yjs stores it; its members are sorted, as `toJsonValue` sorts them. */
class StoredLevel implements Level {
  key: string | undefined
  readonly #object: Readonly<Record<string, unknown>>
  readonly #keys: SortedKeys

  constructor(object: Readonly<Record<string, unknown>>) {
    this.#object = object
    this.#keys = new SortedKeys(Object.keys(object).filter((key) => key !== '__proto__'))
  }

  next(): Source | 'pause' | undefined {
    const key = this.#keys.next()
    if (key === false) return 'pause'
    this.key = key
    return key === undefined ? undefined : { raw: this.#object[key] }
  }
}

/** An object of JSON, whose members have their order. */
class MembersLevel implements Level {
  key: string | undefined
  readonly #object: JsonObject
  readonly #keys: readonly string[]
  #at = 0

  constructor(object: JsonObject) {
    this.#object = object
    this.#keys = Object.keys(object)
  }

  next(): Source | undefined {
    this.key = this.#keys[this.#at++]
    return this.key === undefined ? undefined : { json: this.#object[this.key] ?? null }
  }
}

/** The units of a list that a moment shows, one by one. */
class ListUnits {
  // Yjs may cut an item in two, or merge it into the one before it, while somebody stands on it. Both leave this one as it
  // was, with what it held and with the item that came next; so walking on from it meets everything that was there.
  #item: Y.Item | null
  #offset = 0

  constructor(type: YType) {
    this.#item = type._start
  }

  next(moment: Moment): { readonly item: Y.Item; readonly offset: number } | 'pause' | undefined {
    for (let steps = 0; this.#item !== null; steps++) {
      const item = this.#item
      const presence = countsInArray(item) ? moment.of(item) : 'hidden'
      const isPassed = presence === 'hidden' || presence === 'unknown' || this.#offset >= item.length
      if (isPassed) {
        this.#item = item.right
        this.#offset = 0
      } else {
        const offset = this.#offset++
        if (presence === 'visible' || moment.at(item, offset) === 'visible') return { item, offset }
      }
      if (steps === stepsMax) return 'pause'
    }
    return undefined
  }
}

/** Deleted members and elements that are passed in one step. */
const missesMax = 64
const stepsMax = 256

function* keysOf(type: YType | undefined, members: ReadonlyMap<string, Source>): Generator<string> {
  if (type !== undefined)
    for (const key of type._map.keys()) if (key !== '__proto__' && !members.has(key)) yield key
  yield* members.keys()
}

function sourceOf(item: Y.Item, offset: number, rules: TextRules): Source {
  const type = typeOf(item)
  return type === undefined ? { raw: leafValue(item, offset) } : { type, kind: kindOf(type) ?? 'map', rules }
}

function isPlainObject(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return (
    typeof raw === 'object' &&
    raw !== null &&
    !(raw instanceof Uint8Array) &&
    !(raw instanceof Date) &&
    !(raw instanceof Y.Doc)
  )
}

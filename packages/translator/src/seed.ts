import { PolyphonyError } from '@polyphony/core'
import * as Y from 'yjs'
import { Engine, type EngineOptions } from './engine.ts'
import { isJsonArray, isJsonObject, type JsonValue } from './json-value.ts'
import { live } from './moment.ts'

/**
 * A Yjs update that brings an initial state. Its bytes and its client id follow from the JSON and the options alone, so
 * any number of clients may seed the same document with the same JSON, at any time: all but the first change nothing.
 * That is how nested types that several clients need come into being; when each client creates its own, all but one
 * vanish. Seeding with different JSON merges key by key. Throws `invalid-value` as `JsonView.apply` does. O(size).
 */
export function seed(json: JsonValue, options: EngineOptions = {}): Uint8Array {
  if (!isJsonObject(json)) throw new PolyphonyError('invalid-value', 'The whole state is always an object')
  const doc = new Y.Doc()
  const { limits: _, ...layout } = options
  doc.clientID = hash(canonical([json, layout as JsonValue]))
  new Engine(doc, options).assign(json, [], live, {})
  const update = Y.encodeStateAsUpdate(doc)
  doc.destroy()
  return update
}

/** JSON with sorted members, so that equal values have equal texts. */
function canonical(value: JsonValue | undefined): string {
  if (value === undefined) return 'null'
  if (isJsonArray(value)) return `[${value.map(canonical).join()}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
  return `{${members.join()}}`
}

/** FNV-1a over UTF-16 units, mixed at the end: 32 bits, which is what Yjs draws client ids from. Never 0. */
function hash(text: string): number {
  let state = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    state = Math.imul(state ^ text.charCodeAt(i), 0x01000193)
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35)
  return (state ^ (state >>> 16)) >>> 0 || 1
}

import * as Y from 'yjs'
import { expired } from './content.ts'
import { jsonEquals, toJsonValue, type JsonObject, type JsonValue } from './json-value.ts'
import type { Moment } from './moment.ts'
import type { YType } from './yjs.ts'

/** A stretch of a formatted text with the same attributes: a string, or one embedded value. */
export interface Segment {
  readonly insert: string | { readonly embed: unknown }
  readonly attributes: Readonly<Record<string, unknown>>
}

/**
 * The formatted content of a text at a moment, neighbours with the same attributes joined: Yjs removes formatting marks
 * that change nothing when it likes, so whether one is there must not matter. O(items of the text).
 */
export function segmentsAt(text: YType, moment: Moment): Segment[] {
  const segments: Segment[] = []
  const attributes = new Map<string, unknown>()
  let pending: { insert: string; readonly attributes: Readonly<Record<string, unknown>> } | undefined
  const append = (insert: string): void => {
    const current = Object.fromEntries(attributes)
    if (pending !== undefined && jsonEquals(toJsonValue(pending.attributes), toJsonValue(current))) {
      pending.insert += insert
      return
    }
    pending = { insert, attributes: current }
    segments.push(pending)
  }
  for (let item = text._start; item !== null; item = item.right) {
    const presence = moment.of(item)
    if (presence === 'unknown' || presence === 'hidden') continue
    const { content } = item
    if (content instanceof Y.ContentString) {
      for (const run of moment.runs(item))
        if (run.presence === 'visible') append(content.str.slice(run.offset, run.offset + run.length))
    } else if (content instanceof Y.ContentFormat) {
      if (content.value === null) attributes.delete(content.key)
      else attributes.set(content.key, content.value)
    } else if (content instanceof Y.ContentDeleted) {
      if (moment.count(item) > 0) throw expired()
    } else {
      const embed: unknown = content instanceof Y.ContentEmbed ? content.embed : null
      pending = undefined
      segments.push({ insert: { embed }, attributes: Object.fromEntries(attributes) })
    }
  }
  return segments
}

/** Formatted text as the text nodes of ProseMirror's JSON, marks sorted by name. */
export function segmentToJson({ insert, attributes }: Segment): JsonObject {
  const marks = Object.keys(attributes)
    .filter((name) => name !== '__proto__')
    .toSorted()
    .map((name) => ({ type: markName(name), attrs: toJsonValue(attributes[name]) }))
  const node: Record<string, JsonValue> =
    typeof insert === 'string'
      ? { type: 'text', text: insert }
      : { type: 'embed', embed: toJsonValue(insert.embed) }
  if (marks.length > 0) node['marks'] = marks
  return node
}

/**
 * y-prosemirror appends `--` and eight characters of a hash to the names of marks that may overlap with themselves;
 * the JSON carries the plain name.
 */
export function markName(attribute: string): string {
  return /^(.+)--[a-zA-Z0-9+/=]{8}$/.exec(attribute)?.[1] ?? attribute
}

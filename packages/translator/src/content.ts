import { PolyphonyError } from '@polyphony/core'
import * as Y from 'yjs'
import { toJsonValue, type JsonValue } from './json-value.ts'
import type { Moment } from './moment.ts'
import type { YType } from './yjs.ts'

/** The JSON of one unit that is not a nested type. Throws `revision-expired` when its content was collected. */
export function leafJson(item: Y.Item, offset: number): JsonValue {
  const raw = leafValue(item, offset)
  return raw instanceof Y.Doc ? { $subdoc: raw.guid } : toJsonValue(raw)
}

/** What Yjs stores in one unit that is not a nested type. */
export function leafValue(item: Y.Item, offset: number): unknown {
  const { content } = item
  if (content instanceof Y.ContentAny || content instanceof Y.ContentJSON) return content.arr[offset]
  if (content instanceof Y.ContentBinary) return content.content
  if (content instanceof Y.ContentDoc) return content.doc
  if (content instanceof Y.ContentEmbed) return content.embed
  if (content instanceof Y.ContentString) return content.str[offset]
  throw expired()
}

export function expired(): PolyphonyError {
  return new PolyphonyError(
    'revision-expired',
    'What this version shows was deleted since, and its content has been collected. Read the current state instead.',
  )
}

/** The item that held the value of a key at the moment, if it was visible. O(values written to the key since). */
export function memberAt(
  type: YType,
  key: string,
  moment: Moment,
): { item: Y.Item; offset: number } | undefined {
  const last = lastKnown(type, key, moment)
  return last !== undefined && moment.at(last.item, last.offset) === 'visible' ? last : undefined
}

/** The newest unit in the history of a key that the moment knows. */
function lastKnown(type: YType, key: string, moment: Moment): { item: Y.Item; offset: number } | undefined {
  for (let item = type._map.get(key) ?? null; item !== null; item = item.left) {
    for (let offset = item.length - 1; offset >= 0; offset--) {
      if (moment.knows(item.id.client, item.id.clock + offset)) return { item, offset }
    }
  }
  return undefined
}

/** The keys that are visible at the moment, sorted. */
export function keysAt(type: YType, moment: Moment): string[] {
  const keys: string[] = []
  for (const [key, item] of type._map) {
    if (key === '__proto__') continue
    if (moment.isLive ? !item.deleted : memberAt(type, key, moment) !== undefined) keys.push(key)
  }
  keys.sort()
  return keys
}

/** The characters of a text at the moment. */
export function textAt(type: YType, moment: Moment): string {
  let text = ''
  for (let item = type._start; item !== null; item = item.right) {
    const presence = moment.of(item)
    if (presence === 'unknown' || presence === 'hidden') continue
    const { content } = item
    if (content instanceof Y.ContentString) {
      if (presence === 'visible') text += content.str
      else
        for (const run of moment.runs(item))
          if (run.presence === 'visible') text += content.str.slice(run.offset, run.offset + run.length)
    } else if (content instanceof Y.ContentDeleted && moment.count(item) > 0) {
      throw expired()
    }
  }
  return text
}

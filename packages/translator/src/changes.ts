import * as Y from 'yjs'
import type { Moment } from './moment.ts'
import { parentOf, structsOf, type YType } from './yjs.ts'

/** Which shared types hold units that appeared or disappeared since a moment, and which units these are. */
export interface Changes {
  readonly keys: ReadonlyMap<YType, ReadonlySet<string>>
  readonly items: ReadonlyMap<YType, ReadonlySet<Y.Item>>
}

/**
 * Finds what changed by scanning the structs that the moment does not know, and those deleted since. Collected ranges
 * are skipped: what is gone with its parent leaves a tombstone in a parent that lives. O(changes), never O(document).
 */
export function changesSince(doc: Y.Doc, moment: Moment): Changes {
  const keys = new Map<YType, Set<string>>()
  const items = new Map<YType, Set<Y.Item>>()
  const add = (item: Y.Item): void => {
    const then = moment.of(item)
    if (then === (item.deleted ? 'hidden' : 'visible')) return
    if (then === 'unknown' && item.deleted && item.parentSub === null) return
    const parent = parentOf(item)
    if (item.parentSub === null) setOf(items, parent).add(item)
    else setOf(keys, parent).add(item.parentSub)
  }
  const scan = (client: number, from: number, to: number): void => {
    const structs = structsOf(doc, client)
    if (structs.length === 0 || from >= Y.getState(doc.store, client)) return
    for (let i = Y.findIndexSS(structs as (Y.Item | Y.GC)[], from); i < structs.length; i++) {
      const struct = structs[i]
      if (struct === undefined || struct.id.clock >= to) break
      if (struct instanceof Y.Item) add(struct)
    }
  }
  const { past } = moment
  if (past !== undefined) {
    for (const [client, start] of past.starts) scan(client, start, Infinity)
    for (const { client, clock, length } of past.deletedSince.entries()) scan(client, clock, clock + length)
    for (const { client, clock, length } of past.ownInserted.entries()) scan(client, clock, clock + length)
  }
  return { keys, items }
}

function setOf<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  const known = map.get(key)
  if (known !== undefined) return known
  const set = new Set<V>()
  map.set(key, set)
  return set
}

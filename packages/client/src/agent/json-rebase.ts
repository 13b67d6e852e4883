import {
  diffText,
  isJsonArray,
  isJsonObject,
  jsonEquals,
  type JsonArray,
  type JsonObject,
  type JsonValue,
} from '@polyphony/translator'
import { areOthers, matchElements } from './json-diff.ts'

/** Whose value stands where both have set the same thing. */
export type Winner = 'mine' | 'theirs'

/**
 * What `theirs` is with the edits that lead from `base` to `mine`: a three-way merge of values, as the server does it with
 * the document itself. It is shown only until the server's own result arrives. What was inserted on both sides alike is
 * taken for one insertion that came back. Costs what differs by identity, and the length of arrays that differ.
 */
export function rebaseJson(
  base: JsonValue,
  mine: JsonValue,
  theirs: JsonValue,
  wins: Winner = 'mine',
): JsonValue {
  if (mine === base) return theirs
  if (theirs === base || mine === theirs) return mine
  if (isJsonObject(base) && isJsonObject(mine) && isJsonObject(theirs))
    return rebaseObject(base, mine, theirs, wins)
  if (isJsonArray(base) && isJsonArray(mine) && isJsonArray(theirs))
    return rebaseArray(base, mine, theirs, wins)
  if (typeof base === 'string' && typeof mine === 'string' && typeof theirs === 'string')
    return rebaseText(base, mine, theirs)
  if (jsonEquals(base, mine)) return theirs
  if (jsonEquals(base, theirs)) return mine
  return wins === 'mine' ? mine : theirs
}

function rebaseObject(base: JsonObject, mine: JsonObject, theirs: JsonObject, wins: Winner): JsonValue {
  const result = new Map(Object.entries(theirs))
  let changed = false
  for (const key of new Set([...Object.keys(base), ...Object.keys(mine)])) {
    const [b, m, t] = [memberOf(base, key), memberOf(mine, key), memberOf(theirs, key)]
    if (m === b) continue
    const value = rebaseMember(b, m, t, wins)
    if (value === t) continue
    changed = true
    if (value === undefined) result.delete(key)
    else result.set(key, value)
  }
  return changed ? Object.fromEntries(result) : theirs
}

function rebaseMember(
  base: JsonValue | undefined,
  mine: JsonValue | undefined,
  theirs: JsonValue | undefined,
  wins: Winner,
): JsonValue | undefined {
  if (mine === undefined) {
    // Removed here. What others have set anew meanwhile stays; what they changed inside goes with it.
    return theirs === undefined || jsonEquals(theirs, base) || areAlike(theirs, base) ? undefined : theirs
  }
  if (theirs === undefined) return base !== undefined && areAlike(base, mine) ? undefined : mine
  if (base !== undefined) return rebaseJson(base, mine, theirs, wins)
  return isJsonObject(mine) && isJsonObject(theirs)
    ? rebaseObject({}, mine, theirs, wins)
    : wins === 'mine' && !jsonEquals(mine, theirs)
      ? mine
      : theirs
}

function rebaseArray(base: JsonArray, mine: JsonArray, theirs: JsonArray, wins: Winner): JsonValue {
  const inMine = alignment(base, mine)
  const inTheirs = alignment(base, theirs)
  const baseOfTheirs = new Map([...inTheirs].map(([baseIndex, index]) => [index, baseIndex]))
  const isTheirNew = (_: JsonValue, index: number): boolean => !baseOfTheirs.has(index)
  const insertions = insertionsOf(base, mine, inMine, theirs.filter(isTheirNew))
  const result: JsonValue[] = []
  let before = 0
  // As on the server, what was inserted comes right before what followed it.
  const insertUpTo = (baseIndex: number): void => {
    for (; before <= baseIndex; before++) result.push(...(insertions.get(before) ?? []))
  }
  for (const [index, element] of theirs.entries()) {
    const baseIndex = baseOfTheirs.get(index)
    if (baseIndex === undefined) {
      result.push(element)
      continue
    }
    insertUpTo(baseIndex)
    const own = inMine.get(baseIndex)
    if (own !== undefined) result.push(rebaseJson(base[baseIndex] ?? null, mine[own] ?? null, element, wins))
  }
  insertUpTo(base.length)
  const isSame =
    result.length === theirs.length && result.every((element, index) => element === theirs[index])
  return isSame ? theirs : result
}

/** Which elements of the base became which: the same ones, and between these one after the other. */
function alignment(base: JsonArray, next: JsonArray): Map<number, number> {
  const aligned = new Map<number, number>()
  let [i, j] = [0, 0]
  for (const [baseIndex, nextIndex] of [...matchElements(base, next), [base.length, next.length] as const]) {
    for (; i < baseIndex && j < nextIndex && !areOthers(base[i], next[j]); i++, j++) aligned.set(i, j)
    if (baseIndex < base.length) aligned.set(baseIndex, nextIndex)
    ;[i, j] = [baseIndex + 1, nextIndex + 1]
  }
  return aligned
}

/** What is new in `mine`, by the index of the base before which it belongs, without what others brought alike. */
function insertionsOf(
  base: JsonArray,
  mine: JsonArray,
  inMine: ReadonlyMap<number, number>,
  others: readonly JsonValue[],
): Map<number, JsonValue[]> {
  const baseOfMine = new Map([...inMine].map(([baseIndex, index]) => [index, baseIndex]))
  const left = [...others]
  const insertions = new Map<number, JsonValue[]>()
  let next = base.length
  for (let index = mine.length - 1; index >= 0; index--) {
    const known = baseOfMine.get(index)
    if (known !== undefined) {
      next = known
      continue
    }
    const element = mine[index] ?? null
    const twin = left.findLastIndex((other) => jsonEquals(other, element))
    if (twin >= 0) left.splice(twin, 1)
    else insertions.set(next, [element, ...(insertions.get(next) ?? [])])
  }
  return insertions
}

function rebaseText(base: string, mine: string, theirs: string): string {
  const others = diffText(base, theirs)
  let result = theirs
  for (const edit of diffText(base, mine).toReversed()) {
    const isTwin = others.some(
      ({ at, remove, insert }) => at === edit.at && remove === edit.remove && insert === edit.insert,
    )
    if (isTwin) continue
    // The place of the edit, and how much of what it removes is still there.
    const from = moved(edit.at, others)
    const to = moved(edit.at + edit.remove, others)
    result = result.slice(0, from) + edit.insert + result.slice(Math.max(from, to))
  }
  return result
}

/** Where a position of the old text is after edits; what they remove collapses to its beginning. */
function moved(position: number, edits: ReturnType<typeof diffText>): number {
  let shift = 0
  for (const { at, remove, insert } of edits) {
    if (at + remove <= position) shift += insert.length - remove
    else if (at < position) return at + shift
  }
  return position + shift
}

function memberOf(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function areAlike(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return (isJsonObject(a) && isJsonObject(b)) || (isJsonArray(a) && isJsonArray(b))
}

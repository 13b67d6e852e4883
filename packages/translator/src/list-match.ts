import { isJsonArray, isJsonObject, type JsonValue } from './json-value.ts'

/** Old and new elements that are the same one: indexes into both lists, rising in both. */
export type Match = readonly [old: number, next: number]

/** Cells of the table up to which the longest common subsequence is exact. */
const tableMax = 4_000_000

/**
 * Which elements two lists have in common: objects by their `id` member, everything else by equality. Equal ends are
 * taken off first. O(n) for lists that differ in one place, O(n * m) for the part that differs; beyond four million
 * cells only elements that are unique on both sides are matched, in O(n log n).
 */
export function matchLists(old: readonly JsonValue[], next: readonly JsonValue[]): Match[] {
  const keys = new Map<string, number>()
  const intern = (value: JsonValue): number => {
    const key = keyOf(value)
    const known = keys.get(key)
    if (known !== undefined) return known
    keys.set(key, keys.size)
    return keys.size - 1
  }
  return matchKeys(old.map(intern), next.map(intern))
}

/** The same for lists of numbers that are equal when the elements are. */
export function matchKeys(old: readonly number[], next: readonly number[]): Match[] {
  const matches: Match[] = []
  let start = 0
  while (start < old.length && start < next.length && old[start] === next[start]) {
    matches.push([start, start])
    start++
  }
  let oldEnd = old.length
  let nextEnd = next.length
  const tail: Match[] = []
  while (oldEnd > start && nextEnd > start && old[oldEnd - 1] === next[nextEnd - 1])
    tail.push([--oldEnd, --nextEnd])
  const [a, b] = [old.slice(start, oldEnd), next.slice(start, nextEnd)]
  const middle = a.length * b.length <= tableMax ? longestCommon(a, b) : uniqueCommon(a, b)
  for (const [i, j] of middle) matches.push([start + i, start + j])
  return matches.concat(tail.toReversed())
}

/** What makes an element the same one: its `id` if it has one, else its value. */
function keyOf(value: JsonValue): string {
  if (isJsonObject(value)) {
    const id = idOf(value)
    if (id !== undefined) return `#${typeof id}:${id}`
  }
  return canonical(value)
}

/** The `id` member by which objects are recognised. */
export function idOf(value: JsonValue | undefined): string | number | undefined {
  if (!isJsonObject(value) || !Object.hasOwn(value, 'id')) return undefined
  const { id } = value
  return typeof id === 'string' || typeof id === 'number' ? id : undefined
}

function canonical(value: JsonValue): string {
  if (isJsonArray(value)) return `[${value.map(canonical).join()}]`
  if (!isJsonObject(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .toSorted()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`)
  return `{${members.join()}}`
}

function longestCommon(a: readonly number[], b: readonly number[]): Match[] {
  if (a.length === 0 || b.length === 0) return []
  const width = b.length + 1
  // lengths[i * width + j]: the longest common subsequence of a from i and b from j.
  const lengths = new Uint32Array((a.length + 1) * width)
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
  const matches: Match[] = []
  let [i, j] = [0, 0]
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) matches.push([i++, j++])
    else if (at(i + 1, j) >= at(i, j + 1)) i++
    else j++
  }
  return matches
}

/** The longest rising sequence of matches among elements that occur once on each side. */
function uniqueCommon(a: readonly number[], b: readonly number[]): Match[] {
  const places = new Map<number, { a: number; b: number; times: number }>()
  for (const [i, key] of a.entries()) {
    const place = places.get(key)
    if (place === undefined) places.set(key, { a: i, b: -1, times: 1 })
    else place.times = Infinity
  }
  const candidates: Match[] = []
  for (const [j, key] of b.entries()) {
    const place = places.get(key)
    if (place === undefined) continue
    place.times = place.b === -1 ? place.times : Infinity
    place.b = j
  }
  for (const [i, key] of a.entries()) {
    const place = places.get(key)
    if (place?.times === 1 && place.b !== -1) candidates.push([i, place.b])
  }
  // Patience: tails[k] is the candidate that ends the best rising sequence of length k + 1.
  const tails: number[] = []
  const previous: number[] = []
  for (const [index, [, j]] of candidates.entries()) {
    let low = 0
    let high = tails.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((candidates[tails[middle] ?? 0]?.[1] ?? 0) < j) low = middle + 1
      else high = middle
    }
    previous[index] = low > 0 ? (tails[low - 1] ?? -1) : -1
    tails[low] = index
  }
  const matches: Match[] = []
  for (let index = tails.at(-1) ?? -1; index >= 0; index = previous[index] ?? -1) {
    const match = candidates[index]
    if (match !== undefined) matches.push(match)
  }
  return matches.toReversed()
}

import {
  diffText,
  formatPointer,
  isJsonArray,
  isJsonObject,
  matchLists,
  type JsonArray,
  type JsonObject,
  type JsonValue,
  type Match,
  type PatchOperation,
  type SplicePatch,
  type TextSplice,
} from '@polyphony/translator'

/** Length from which a string is spliced rather than replaced, if that is shorter. */
const spliceMin = 200

/**
 * The patch that turns `old` into `next`. What both share by identity is not looked at, so for values of one `JsonShare`
 * it costs what differs, and for arrays that differ their length. Elements are matched by `id`, then by equality.
 */
export function diffJson(old: JsonValue, next: JsonValue): SplicePatch {
  const patch: (PatchOperation | TextSplice)[] = []
  diffValue(old, next, [], patch)
  return patch
}

type Path = readonly (string | number)[]
type Patch = (PatchOperation | TextSplice)[]

function diffValue(old: JsonValue, next: JsonValue, path: Path, patch: Patch): void {
  if (old === next) return
  if (isJsonObject(old) && isJsonObject(next)) diffObjects(old, next, path, patch)
  else if (isJsonArray(old) && isJsonArray(next)) diffArrays(old, next, path, patch)
  else if (typeof old === 'string' && typeof next === 'string') diffStrings(old, next, path, patch)
  else patch.push({ op: 'replace', path: formatPointer(path), value: next })
}

function diffObjects(old: JsonObject, next: JsonObject, path: Path, patch: Patch): void {
  for (const key of Object.keys(old))
    if (!Object.hasOwn(next, key)) patch.push({ op: 'remove', path: formatPointer([...path, key]) })
  for (const [key, value] of Object.entries(next)) {
    const known = Object.hasOwn(old, key) ? old[key] : undefined
    if (known === undefined) patch.push({ op: 'add', path: formatPointer([...path, key]), value })
    else diffValue(known, value, [...path, key], patch)
  }
}

function diffArrays(old: JsonArray, next: JsonArray, path: Path, patch: Patch): void {
  // Everything left of `at` is as in `next` already; `from` is what follows there in `old`.
  let from = 0
  let at = 0
  for (const [oldIndex, nextIndex] of [...matchElements(old, next), [old.length, next.length] as const]) {
    while (from < oldIndex && at < nextIndex && !areOthers(old[from], next[at]))
      diffElement(old[from++], next[at], [...path, at++], patch)
    while (at < nextIndex)
      patch.push({ op: 'add', path: formatPointer([...path, at]), value: next[at++] ?? null })
    for (; from < oldIndex; from++) patch.push({ op: 'remove', path: formatPointer([...path, at]) })
    if (from < old.length) diffElement(old[from++], next[at], [...path, at++], patch)
  }
}

/** Whether the two name themselves, and differently: one went, another came. */
export function areOthers(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  const [idA, idB] = [a, b].map((value) =>
    isJsonObject(value) && Object.hasOwn(value, 'id') ? value['id'] : undefined,
  )
  return idA !== idB
}

function diffElement(
  old: JsonValue | undefined,
  next: JsonValue | undefined,
  path: Path,
  patch: Patch,
): void {
  diffValue(old ?? null, next ?? null, path, patch)
}

/** Like `matchLists`, which reads what it compares; equal ends are often the very same objects. */
export function matchElements(old: JsonArray, next: JsonArray): readonly Match[] {
  const limit = Math.min(old.length, next.length)
  let start = 0
  while (start < limit && old[start] === next[start]) start++
  let end = 0
  while (end < limit - start && old[old.length - 1 - end] === next[next.length - 1 - end]) end++
  const matches: Match[] = Array.from({ length: start }, (_, index) => [index, index])
  for (const [i, j] of matchLists(old.slice(start, old.length - end), next.slice(start, next.length - end)))
    matches.push([start + i, start + j])
  for (let left = end; left > 0; left--) matches.push([old.length - left, next.length - left])
  return matches
}

function diffStrings(old: string, next: string, path: Path, patch: Patch): void {
  const pointer = formatPointer(path)
  if (next.length >= spliceMin && old.length >= spliceMin) {
    let shift = 0
    const splices = diffText(old, next).map(({ at, remove, insert }): TextSplice => {
      const index = at + shift
      shift += insert.length - remove
      return { op: 'splice', path: pointer, index, remove, insert }
    })
    if (JSON.stringify(splices).length < next.length) {
      patch.push(...splices)
      return
    }
  }
  patch.push({ op: 'replace', path: pointer, value: next })
}

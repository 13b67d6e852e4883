/** Replace `remove` UTF-16 units at `at`, counted in the old text, by `insert`. */
export interface TextEdit {
  readonly at: number
  readonly remove: number
  readonly insert: string
}

/** Edit distance up to which a difference is exact; beyond, the stretch is replaced as one. */
const distanceMax = 400

/** UTF-16 units of a stretch without equal ends up to which it is compared by code points. */
const stretchMax = 1_000_000

/**
 * The edits that turn one text into the other, in order, never cutting a surrogate pair. Equal ends are taken off;
 * what is between is compared by lines first, then by code points (Myers). O(length) when one place changed, else
 * O(length * distance) with a bounded distance.
 */
export function diffText(old: string, next: string): TextEdit[] {
  if (old === next) return []
  const edits: TextEdit[] = []
  diffStretch(old, next, 0, true, edits)
  return edits
}

function diffStretch(old: string, next: string, at: number, byLines: boolean, edits: TextEdit[]): void {
  const start = commonStart(old, next)
  const end = commonEnd(old, next, start)
  const a = old.slice(start, old.length - end)
  const b = next.slice(start, next.length - end)
  const offset = at + start
  if (a === '' && b === '') return
  if (a === '' || b === '') {
    edits.push({ at: offset, remove: a.length, insert: b })
    return
  }
  const lines = byLines && (a.includes('\n') || b.includes('\n'))
  if (!lines && a.length + b.length > stretchMax) {
    edits.push({ at: offset, remove: a.length, insert: b })
    return
  }
  const [from, to] = lines ? [splitLines(a), splitLines(b)] : [Array.from(a), Array.from(b)]
  const hunks = myers(from, to)
  if (hunks === undefined) {
    edits.push({ at: offset, remove: a.length, insert: b })
    return
  }
  let position = offset
  let index = 0
  for (const hunk of hunks) {
    position += widthOf(from, index, hunk.from)
    const removed = from.slice(hunk.from, hunk.fromEnd).join('')
    const inserted = to.slice(hunk.to, hunk.toEnd).join('')
    if (lines) diffStretch(removed, inserted, position, false, edits)
    else edits.push({ at: position, remove: removed.length, insert: inserted })
    position += removed.length
    index = hunk.fromEnd
  }
}

interface Hunk {
  readonly from: number
  readonly fromEnd: number
  readonly to: number
  readonly toEnd: number
}

/** Myers' greedy algorithm; `undefined` when the distance exceeds the limit. */
function myers(a: readonly string[], b: readonly string[]): Hunk[] | undefined {
  const limit = Math.min(a.length + b.length, distanceMax)
  const trace: Int32Array[] = []
  const size = 2 * limit + 3
  let ends = new Int32Array(size)
  const get = (row: Int32Array, diagonal: number): number => row[diagonal + limit + 1] ?? 0
  for (let distance = 0; distance <= limit; distance++) {
    trace.push(ends)
    const row = Int32Array.from(ends)
    for (let diagonal = -distance; diagonal <= distance; diagonal += 2) {
      const down =
        diagonal === -distance || (diagonal !== distance && get(ends, diagonal - 1) < get(ends, diagonal + 1))
      let x = down ? get(ends, diagonal + 1) : get(ends, diagonal - 1) + 1
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x++
      row[diagonal + limit + 1] = x
      if (x >= a.length && x - diagonal >= b.length) return hunksOf(trace, distance, a.length, b.length, get)
    }
    ends = row
  }
  return undefined
}

function hunksOf(
  trace: readonly Int32Array[],
  distance: number,
  aLength: number,
  bLength: number,
  get: (row: Int32Array, diagonal: number) => number,
): Hunk[] {
  const hunks: Hunk[] = []
  let [x, y] = [aLength, bLength]
  for (let step = distance; step > 0; step--) {
    const row = trace[step]
    if (row === undefined) break
    const diagonal = x - y
    const down = diagonal === -step || (diagonal !== step && get(row, diagonal - 1) < get(row, diagonal + 1))
    const from = down ? diagonal + 1 : diagonal - 1
    const startX = get(row, from)
    const startY = startX - from
    // Where the edit ends, before the equal stretch that follows it.
    const endX = down ? startX : startX + 1
    const endY = down ? startY + 1 : startY
    const next = hunks.at(-1)
    if (next !== undefined && next.from === endX && next.to === endY)
      hunks[hunks.length - 1] = { from: startX, fromEnd: next.fromEnd, to: startY, toEnd: next.toEnd }
    else hunks.push({ from: startX, fromEnd: endX, to: startY, toEnd: endY })
    ;[x, y] = [startX, startY]
  }
  return hunks.toReversed()
}

function commonStart(a: string, b: string): number {
  const limit = Math.min(a.length, b.length)
  let start = 0
  while (start < limit && a.charCodeAt(start) === b.charCodeAt(start)) start++
  return start > 0 && isHighSurrogate(a.charCodeAt(start - 1)) ? start - 1 : start
}

function commonEnd(a: string, b: string, start: number): number {
  const limit = Math.min(a.length, b.length) - start
  let end = 0
  while (end < limit && a.charCodeAt(a.length - end - 1) === b.charCodeAt(b.length - end - 1)) end++
  return end > 0 && isLowSurrogate(a.charCodeAt(a.length - end)) ? end - 1 : end
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}

/** Lines with their line feeds. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

function widthOf(parts: readonly string[], from: number, to: number): number {
  let width = 0
  for (let i = from; i < to; i++) width += parts[i]?.length ?? 0
  return width
}

import * as Y from 'yjs'
import type { IndexOf } from './address.ts'
import { runsOf, type ChangedRun } from './list-runs.ts'
import type { Moment } from './moment.ts'
import type { TextSplice } from './patch.ts'
import { countsInText, type YType } from './yjs.ts'

/** One place of a text where something changed. */
interface TextHunk {
  readonly at: number
  remove: number
  insert: string
  readonly first: ChangedRun
  last: ChangedRun
}

/**
 * The edits of a text since a moment, from the first to the last, each with its index after those before it. `undefined`
 * when they cannot be told: characters that were deleted have been collected, or a surrogate pair may have been cut,
 * which Yjs repairs by changing both halves into U+FFFD, without a trace. O(changes * (log changes + cost of a position)),
 * and a search for that character, which is fast but reads the text.
 */
export function textSplices(
  type: YType,
  items: Iterable<Y.Item>,
  since: Moment,
  indexOf: IndexOf,
  path: string,
): TextSplice[] | undefined {
  if (mayHaveCutPair(type)) return undefined
  const runs = runsOf(items, since, countsInText, indexOf)
  if (runs.some(({ item }) => !(item.content instanceof Y.ContentString))) return undefined
  // As in lists: at one index what was removed comes first.
  const sorted = runs.toSorted((a, b) => a.at - b.at || Number(a.added) - Number(b.added))
  const hunks = gather(sorted)
  if (hunks.some(touchesSurrogate)) return undefined
  return hunks.map(({ at, remove, insert }) => ({ op: 'splice', path, index: at, remove, insert }))
}

function gather(runs: readonly ChangedRun[]): TextHunk[] {
  const hunks: TextHunk[] = []
  for (const run of runs) {
    let hunk = hunks.at(-1)
    if (hunk === undefined || run.at !== hunk.at + hunk.insert.length) {
      hunk = { at: run.at, remove: 0, insert: '', first: run, last: run }
      hunks.push(hunk)
    }
    if (run.added) {
      hunk.insert += textOf(run)
      hunk.last = run
    } else hunk.remove += run.length
  }
  return hunks
}

function textOf({ item, offset, length }: ChangedRun): string {
  return item.content instanceof Y.ContentString ? item.content.str.slice(offset, offset + length) : ''
}

function mayHaveCutPair(type: YType): boolean {
  for (let item = type._start; item !== null; item = item.right)
    if (!item.deleted && item.content instanceof Y.ContentString && item.content.str.includes('\ufffd'))
      return true
  return false
}

/** Whether an edit begins or ends within a surrogate pair. */
function touchesSurrogate({ insert, first, last }: TextHunk): boolean {
  const before =
    first.added && first.offset > 0 ? unitAt(first.item, first.offset - 1) : unitLeftOf(first.item)
  const end = last.offset + last.length
  const after = last.added && end < last.item.length ? unitAt(last.item, end) : unitRightOf(last.item)
  return (
    isHalf(before, 0xd800) ||
    isHalf(after, 0xdc00) ||
    isHalf(insert.charCodeAt(0), 0xdc00) ||
    isHalf(insert.charCodeAt(insert.length - 1), 0xd800)
  )
}

/** Whether a unit is the half of a pair whose range begins at `from`. */
function isHalf(unit: number, from: number): boolean {
  return unit >= from && unit < from + 0x400
}

function unitAt(item: Y.Item, offset: number): number {
  return item.content instanceof Y.ContentString ? item.content.str.charCodeAt(offset) : NaN
}

function unitLeftOf(item: Y.Item): number {
  for (let left = item.left; left !== null; left = left.left)
    if (!left.deleted && left.content instanceof Y.ContentString) return unitAt(left, left.length - 1)
  return NaN
}

function unitRightOf(item: Y.Item): number {
  for (let right = item.right; right !== null; right = right.right)
    if (!right.deleted && right.content instanceof Y.ContentString) return unitAt(right, 0)
  return NaN
}

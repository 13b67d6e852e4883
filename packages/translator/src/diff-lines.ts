import * as Y from 'yjs'
import type { Moment } from './moment.ts'
import type { PatchOperation } from './patch.ts'
import type { YType } from './yjs.ts'

/**
 * The patch of a text that is shown as an array of lines. Between two line feeds that stayed, the old lines become the
 * new ones; everything else is not mentioned. O(length of the text). `undefined` when deleted characters were
 * collected already, so that nobody knows how many lines they were.
 */
export function diffLines(type: YType, since: Moment, pointer: string): PatchOperation[] | undefined {
  const patch: PatchOperation[] = []
  let line = 0
  let then = ''
  let now = ''
  let changed = false
  const flush = (): void => {
    if (changed) {
      const [old, next] = [then.split('\n'), now.split('\n')]
      lineOperations(old, next, line, pointer, patch)
      line += next.length - 1
    }
    then = ''
    now = ''
    changed = false
  }
  for (let item = type._start; item !== null; item = item.right) {
    const { content } = item
    if (content instanceof Y.ContentDeleted && since.count(item) > 0) return undefined
    if (!(content instanceof Y.ContentString)) continue
    for (const { offset, length, presence } of since.runs(item)) {
      const was = presence === 'visible'
      if (!was && item.deleted) continue
      const text = content.str.slice(offset, offset + length)
      if (was && !item.deleted) {
        const first = text.indexOf('\n')
        if (first === -1) {
          then += text
          now += text
          continue
        }
        // The line feeds of this stretch stayed: the segment before the first ends here, the last begins a new one.
        then += text.slice(0, first)
        now += text.slice(0, first)
        flush()
        line++
        for (let next = text.indexOf('\n', first + 1); next !== -1; next = text.indexOf('\n', next + 1))
          line++
        then = now = text.slice(text.lastIndexOf('\n') + 1)
      } else {
        changed = true
        if (was) then += text
        else now += text
      }
    }
  }
  flush()
  return patch
}

function lineOperations(
  old: readonly string[],
  next: readonly string[],
  line: number,
  pointer: string,
  patch: PatchOperation[],
): void {
  let start = 0
  while (start < old.length && start < next.length && old[start] === next[start]) start++
  let end = 0
  while (
    end < old.length - start &&
    end < next.length - start &&
    old[old.length - 1 - end] === next[next.length - 1 - end]
  )
    end++
  const removed = old.length - start - end
  const added = next.length - start - end
  for (let i = 0; i < added; i++)
    patch.push({
      op: i < removed ? 'replace' : 'add',
      path: `${pointer}/${line + start + i}`,
      value: next[start + i] ?? '',
    })
  for (let i = removed - 1; i >= added; i--)
    patch.push({ op: 'remove', path: `${pointer}/${line + start + i}` })
}

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffText } from './text-diff.ts'

const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', '🙂', '🙃', 'é'), maxLength: 60 })

function apply(old: string, edits: ReturnType<typeof diffText>): string {
  let result = ''
  let at = 0
  for (const edit of edits) {
    expect(edit.at).toBeGreaterThanOrEqual(at)
    result += old.slice(at, edit.at) + edit.insert
    at = edit.at + edit.remove
  }
  return result + old.slice(at)
}

describe('diffText', () => {
  it('leads from the old text to the new one and never cuts a character', () => {
    fc.assert(
      fc.property(text, text, (old, next) => {
        const edits = diffText(old, next)
        expect(apply(old, edits)).toBe(next)
        for (const { at, remove, insert } of edits) {
          expect(insert).toBe(new TextDecoder().decode(new TextEncoder().encode(insert)))
          for (const cut of [at, at + remove]) expect(/[\uDC00-\uDFFF]/.test(old[cut] ?? '')).toBe(false)
        }
      }),
      { seed: 1, numRuns: 1_000 },
    )
  })

  it('touches only the places that differ', () => {
    expect(diffText('hello world', 'hello brave world')).toEqual([{ at: 6, remove: 0, insert: 'brave ' }])
    expect(diffText('abc', 'aXc')).toEqual([{ at: 1, remove: 1, insert: 'X' }])
    expect(diffText('one\ntwo\nthree\n', 'One\ntwo\nthrEe\n')).toEqual([
      { at: 0, remove: 1, insert: 'O' },
      { at: 11, remove: 1, insert: 'E' },
    ])
  })

  it('replaces a stretch as one when everything in it differs', () => {
    const edits = diffText('x'.repeat(5_000), 'y'.repeat(5_000))
    expect(edits).toEqual([{ at: 0, remove: 5_000, insert: 'y'.repeat(5_000) }])
  })
})

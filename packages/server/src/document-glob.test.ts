import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileDocumentGlob } from './document-glob.ts'

/** Slow and obvious: tries everything that a star may stand for. */
function matches(pattern: string, id: string): boolean {
  if (pattern === '') return id === ''
  if (pattern.startsWith('**')) {
    const rest = pattern.replace(/^\*+/, '')
    return Array.from({ length: id.length + 1 }, (_, at) => id.slice(at)).some((end) => matches(rest, end))
  }
  if (pattern.startsWith('*')) {
    return matches(pattern.slice(1), id) || (id !== '' && id[0] !== '/' && matches(pattern, id.slice(1)))
  }
  return id[0] === pattern[0] && matches(pattern.slice(1), id.slice(1))
}

test('patterns match as the oracle says', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '**', '?', '['), maxLength: 6 })
  const id = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '?', '['), maxLength: 6 })
  let hits = 0
  fc.assert(
    fc.property(pattern, id, (glob, documentId) => {
      const expected = matches(glob, documentId)
      if (expected) hits += 1
      expect(compileDocumentGlob(glob)(documentId)).toBe(expected)
    }),
    { seed: 20261124, numRuns: 5_000 },
  )
  expect(hits).toBeGreaterThan(200)
})

test('a star stays within a segment, two cross it', () => {
  expect(compileDocumentGlob('notes/*')('notes/a')).toBe(true)
  expect(compileDocumentGlob('notes/*')('notes/a/b')).toBe(false)
  expect(compileDocumentGlob('notes/**')('notes/a/b')).toBe(true)
  expect(compileDocumentGlob('**')('any/thing\nat all')).toBe(true)
})

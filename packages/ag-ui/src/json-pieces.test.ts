import fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { expect, test } from 'vitest'
import { cutPatch, leastJsonLength, utf8Length } from './json-pieces.ts'

const key = fc.oneof(fc.constantFrom('a', 'b/c', 'd~e', '', 'ü', '0'), fc.string({ maxLength: 6 })).filter(
  // The official client refuses to follow this one.
  (text) => text !== '__proto__',
)
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(fc.constant(null), fc.boolean(), fc.integer(), fc.string({ maxLength: 30, unit: 'grapheme' })),
    fc.array(tie('value'), { maxLength: 8 }),
    fc.dictionary(key, tie('value'), { maxKeys: 8 }),
  ),
})).value

test('pieces of a patch, applied in order, do what the patch does', () => {
  let cuts = 0
  fc.assert(
    fc.property(fc.array(json, { maxLength: 6 }), fc.integer({ min: 150, max: 600 }), (values, bytesMax) => {
      const patch = values.map((value, index) => ({ op: 'add' as const, path: `/m${index}`, value }))
      const pieces = [...cutPatch(patch as Parameters<typeof cutPatch>[0], bytesMax)]
      for (const piece of pieces) expect(Buffer.byteLength(piece)).toBeLessThanOrEqual(bytesMax)
      let state: unknown = {}
      for (const piece of pieces) {
        state = jsonPatch.applyPatch(
          state,
          JSON.parse(piece) as jsonPatch.Operation[],
          true,
          false,
        ).newDocument
      }
      expect(state).toEqual(Object.fromEntries(values.map((value, index) => [`m${index}`, value])))
      if (pieces.length > 1) cuts += 1
    }),
    { seed: 20261124, numRuns: 1_000 },
  )
  expect(cuts).toBeGreaterThan(200)
})

test('operations without a value pass through', () => {
  const patch = [
    { op: 'remove', path: '/a' },
    { op: 'move', from: '/b', path: '/c' },
    { op: 'replace', path: '/d', value: 1 },
  ] as const
  expect([...cutPatch(patch, 1_000)].map((piece) => JSON.parse(piece) as unknown)).toEqual([patch])
  expect([...cutPatch([], 1_000)]).toEqual([])
})

test('a string that does not fit is refused with the limit', () => {
  const patch = [{ op: 'add', path: '/text', value: 'x'.repeat(2_000) }] as const
  expect(() => [...cutPatch(patch, 1_000)]).toThrow(expect.objectContaining({ code: 'document-too-large' }))
})

test('lengths', () => {
  fc.assert(
    fc.property(json, (value) => {
      const text = JSON.stringify(value)
      expect(utf8Length(text)).toBe(Buffer.byteLength(text))
      expect(leastJsonLength(value as never, 1e9)).toBeLessThanOrEqual(text.length)
    }),
    { seed: 20261124, numRuns: 1_000 },
  )
  const long = 'aé€😀'.repeat(50_000)
  expect(utf8Length(long)).toBe(Buffer.byteLength(long))
})

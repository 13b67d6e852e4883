import { resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseJson } from './json-guard.ts'

const limits = resolveLimits()
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Slow and obvious: walks the parsed value. */
function measure(value: unknown): { depth: number; members: number; longest: number } {
  if (typeof value === 'string') return { depth: 0, members: 0, longest: value.length }
  if (typeof value !== 'object' || value === null) return { depth: 0, members: 0, longest: 0 }
  const entries = Object.entries(value)
  const inner = [
    ...entries.map(([, member]) => measure(member)),
    ...(Array.isArray(value) ? [] : entries.map(([key]) => measure(key))),
  ]
  return {
    depth: 1 + Math.max(0, ...inner.map((each) => each.depth)),
    // The first member of a container comes without a comma; an empty one is counted all the same.
    members: Math.max(1, entries.length) + inner.reduce((sum, each) => sum + each.members, 0),
    longest: Math.max(0, ...inner.map((each) => each.longest)),
  }
}

const json = fc
  .jsonValue({ maxDepth: 5, stringUnit: 'grapheme' })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)

test('depth, members and string lengths are limited exactly', () => {
  let refused = 0
  const bounds = fc.record({ depth: fc.nat(5), members: fc.nat(20), longest: fc.nat(12) })
  fc.assert(
    fc.property(json, bounds, fc.boolean(), (value, max, isEscaped) => {
      const plain = JSON.stringify(value)
      const text = isEscaped
        ? plain.replace(
            /[\u0080-\uffff]/g,
            (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
          )
        : plain
      const own = { jsonDepthMax: max.depth, jsonKeysMax: max.members, stringLengthMax: max.longest }
      const is = measure(value)
      const isWithin = is.depth <= max.depth && is.members <= max.members && is.longest <= max.longest
      if (!isWithin) refused += 1
      if (isWithin) expect(parseJson(bytes(text), own)).toEqual(value)
      else
        expect(() => parseJson(bytes(text), own)).toThrow(expect.objectContaining({ code: 'invalid-value' }))
    }),
    { seed: 20261124, numRuns: 3_000 },
  )
  expect(refused).toBeGreaterThan(300)
})

test('very deep JSON is refused before it is parsed', () => {
  const deep = `${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}`
  expect(() => parseJson(bytes(deep), limits)).toThrow(
    expect.objectContaining({
      code: 'invalid-value',
      details: expect.objectContaining({ limit: 'jsonDepthMax' }) as unknown,
    }),
  )
})

test.each(['', '{', '[1,]', '{"a" 1}', 'nul', '"a', '[1] 2', "{'a':1}", '\u0001'])(
  '%j is not JSON',
  (text) => {
    expect(() => parseJson(bytes(text), limits)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
  },
)

test('bytes that are not UTF-8 are refused', () => {
  expect(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), limits)).toThrow(
    expect.objectContaining({ code: 'invalid-request' }),
  )
})

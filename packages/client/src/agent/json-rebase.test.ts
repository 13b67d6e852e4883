import { jsonEquals, patched, type JsonValue, type SplicePatch } from '@polyphony/translator'
import fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { describe, expect, test } from 'vitest'
import { diffJson } from './json-diff.ts'
import { rebaseJson } from './json-rebase.ts'
import { JsonShare } from './json-share.ts'

const soak = process.env.POLYPHONY_SOAK === '1'
const runs = (short: number): number => (soak ? short * 20 : short)

const key = fc.constantFrom('a', 'b', 'c', 'a/b', '~', '')
const leaf = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.constantFrom(null, true, 'x', '😀', 'some longer text', 'a line\nand 😀 more\n'.repeat(20)),
)
const record = fc.record({ id: fc.integer({ min: 0, max: 5 }), n: fc.integer({ min: 0, max: 3 }) })
const json: fc.Arbitrary<JsonValue> = fc.letrec<{ value: JsonValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.uniqueArray(record, { selector: ({ id }) => id, maxLength: 5 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
})).value

/** Operations that every RFC 6902 library knows. */
function applyStandard(value: JsonValue, patch: SplicePatch): JsonValue {
  let result = structuredClone(value)
  for (const operation of patch) {
    if (operation.op === 'splice') {
      const { path, index, remove, insert } = operation
      const text = jsonPatch.getValueByPointer(result, path) as string
      const next = text.slice(0, index) + insert + text.slice(index + remove)
      expect([insert, next].map((part) => Buffer.from(part).toString())).toEqual([insert, next])
      result = jsonPatch.applyPatch(result, [{ op: 'replace', path, value: next }]).newDocument
    } else {
      const standard = structuredClone(operation) as jsonPatch.Operation
      result = jsonPatch.applyPatch(result, [standard], true).newDocument
    }
  }
  return result
}

describe('diffJson', () => {
  test('leads from one value to the other, with strict libraries and with ours', () => {
    fc.assert(
      fc.property(json, json, (old, next) => {
        const patch = diffJson(old, next)
        expect(jsonEquals(applyStandard(old, patch), next)).toBe(true)
        expect(jsonEquals(patched(old, patch), next)).toBe(true)
        if (jsonEquals(old, next)) expect(patch).toEqual([])
      }),
      { seed: 91, numRuns: runs(1_000) },
    )
  })

  test('what came in the place of another is not the other changed, which somebody may have removed', () => {
    expect(diffJson([{ id: 1, n: 0 }], [{ id: 2, n: 0 }])).toEqual([
      { op: 'add', path: '/0', value: { id: 2, n: 0 } },
      { op: 'remove', path: '/1' },
    ])
  })

  test('names only what differs', () => {
    const rows = Array.from({ length: 1_000 }, (_, id) => ({ id, text: `row ${id}` }))
    const changed = [{ id: -1, text: 'new' }, ...rows.filter(({ id }) => id !== 500)]
    changed[900] = { ...changed[900]!, text: 'other' }
    expect(diffJson(rows, changed)).toEqual([
      { op: 'add', path: '/0', value: { id: -1, text: 'new' } },
      { op: 'remove', path: '/501' },
      { op: 'replace', path: '/900/text', value: 'other' },
    ])
    const long = 'x'.repeat(10_000)
    expect(diffJson({ long }, { long: `${long.slice(0, 5_000)}y${long.slice(5_000)}` })).toEqual([
      { op: 'splice', path: '/long', index: 5_000, remove: 0, insert: 'y' },
    ])
  })
})

describe('rebaseJson', () => {
  test('without edits of others it is what was made, without own ones what they made', () => {
    fc.assert(
      fc.property(json, json, (base, other) => {
        expect(jsonEquals(rebaseJson(base, other, structuredClone(base)), other)).toBe(true)
        expect(jsonEquals(rebaseJson(base, structuredClone(base), other), other)).toBe(true)
        expect(jsonEquals(rebaseJson(base, other, structuredClone(other)), other)).toBe(true)
      }),
      { seed: 92, numRuns: runs(1_000) },
    )
  })

  test('edits of different members both stand', () => {
    fc.assert(
      fc.property(json, json, json, json, (a, b, a2, b2) => {
        const merged = rebaseJson({ a, b }, { a: a2, b }, { a: structuredClone(a), b: b2 })
        expect(jsonEquals(merged, { a: a2, b: b2 })).toBe(true)
      }),
      { seed: 93, numRuns: runs(500) },
    )
  })

  test.each<[string, JsonValue, JsonValue, JsonValue, JsonValue]>([
    ['insertions at both ends', ['m'], ['a', 'm'], ['m', 'z'], ['a', 'm', 'z']],
    ['an insertion that came back', ['m'], ['m', 'new'], ['m', 'new'], ['m', 'new']],
    ['an insertion beside another', ['m'], ['m', 'mine'], ['m', 'theirs'], ['m', 'theirs', 'mine']],
    [
      'a change in what moved',
      [{ id: 1, n: 0 }],
      [{ id: 1, n: 5 }],
      [{ id: 0 }, { id: 1, n: 0 }],
      [{ id: 0 }, { id: 1, n: 5 }],
    ],
    ['a change in what was removed', [{ id: 1, n: 0 }, 1], [{ id: 1, n: 5 }, 1], [1], [1]],
    ['a removal of what changed inside', { a: { n: 0 } }, {}, { a: { n: 1 } }, {}],
    ['a removal of what was set anew', { a: 0 }, {}, { a: 1 }, { a: 1 }],
    ['two texts', 'one two three', 'one 2 three', 'zero one two three four', 'zero one 2 three four'],
    ['a text that came back', 'abc', 'abcd', 'abcd', 'abcd'],
    ['two scalars', 1, 2, 3, 2],
  ])('%s', (_, base, mine, theirs, merged) => {
    expect(rebaseJson(base, mine, theirs)).toEqual(merged)
  })

  test('what was set before anything was known overwrites nothing', () => {
    const mine = { n: 0, deep: { mine: 1, both: 1 }, list: [] }
    const theirs = { n: 7, deep: { both: 2 }, list: ['theirs'] }
    expect(rebaseJson({}, mine, theirs, 'theirs')).toEqual({
      n: 7,
      deep: { mine: 1, both: 2 },
      list: ['theirs'],
    })
  })
})

describe('JsonShare', () => {
  test('what it takes is equal, frozen, and shares what is equal', () => {
    fc.assert(
      fc.property(json, json, (old, next) => {
        const share = new JsonShare()
        const first = share.take(undefined, old)
        const second = share.take(first, next)
        expect(second).toEqual(JSON.parse(JSON.stringify(next)))
        expect(share.take(second, structuredClone(next))).toBe(second)
        if (jsonEquals(old, next)) expect(second).toBe(first)
        if (typeof second === 'object') expect(Object.isFrozen(second)).toBe(true)
      }),
      { seed: 94, numRuns: runs(500) },
    )
  })

  test('what JSON has no word for', () => {
    const share = new JsonShare()
    const odd = { gone: undefined, call: () => 1, nan: NaN, at: new Date(0), list: [undefined, Infinity] }
    expect(share.take(undefined, odd)).toEqual(JSON.parse(JSON.stringify(odd)))
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromBase64, jsonEquals, toBase64, toJsonValue, toWellFormed } from './json-value.ts'

describe('jsonEquals', () => {
  it('is equality of canonical text', () => {
    const sort = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(sort)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .map(([k, v]): [string, unknown] => [k, sort(v)])
                .toSorted(([a], [b]) => (a < b ? -1 : 1)),
            )
          : value
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), fc.jsonValue({ maxDepth: 3 }), (a, b) => {
        const same = JSON.stringify(sort(a)) === JSON.stringify(sort(b))
        expect(jsonEquals(a as never, b as never)).toBe(same)
        expect(jsonEquals(a as never, JSON.parse(JSON.stringify(a)) as never)).toBe(true)
      }),
      { seed: 1, numRuns: 500 },
    )
  })

  it('does not take inherited members for own ones', () => {
    expect(jsonEquals({ toString: 1 }, { constructor: 1 })).toBe(false)
  })
})

describe('toJsonValue', () => {
  it.each([
    [undefined, null],
    [Number.NaN, null],
    [-Infinity, null],
    [-0, 0],
    [2n ** 70n, '1180591620717411303424'],
    [Uint8Array.of(1, 2, 255), { $bytes: 'AQL/' }],
    [
      { b: undefined, a: [Number.NaN] },
      { a: [null], b: null },
    ],
  ])('%o', (raw, json) => {
    expect(toJsonValue(raw)).toStrictEqual(json)
  })

  it('drops __proto__, sorts members and copies', () => {
    const raw = JSON.parse('{"b":1,"__proto__":{"x":1},"a":[{}]}') as { a: object[] }
    const json = toJsonValue(raw) as { a: object[] }
    expect(JSON.stringify(json)).toBe('{"a":[{}],"b":1}')
    expect(json.a[0]).not.toBe(raw.a[0])
  })
})

it('base64 goes there and back, whatever the length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
      expect(fromBase64(toBase64(bytes))).toEqual(bytes)
      expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
    }),
    { seed: 2, numRuns: 30 },
  )
})

it('toWellFormed does what encoding to UTF-8 does', () => {
  const unit = fc.constantFrom('a', '\uD83D', '\uDE42', '\uD83D\uDE42', 'é')
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const text = units.join('')
      expect(toWellFormed(text)).toBe(new TextDecoder().decode(new TextEncoder().encode(text)))
    }),
    { seed: 3, numRuns: 300 },
  )
})

import { resolveLimits } from '@polyphony/core'
import { describe, expect, it } from 'vitest'
import { ingest, type Intake } from './ingest.ts'

const intake = (overrides = {}): Intake => ({ limits: resolveLimits(overrides), members: 0 })

describe('ingest', () => {
  it('returns JSON that needs no change as it is', () => {
    const value = { a: [1, 'x', { b: null }], c: true }
    expect(ingest(value, intake(), 0)).toBe(value)
  })

  it('stores what JSON cannot say as JSON', () => {
    expect(
      ingest(
        { n: Number.NaN, z: [-0], u: undefined, b: 5n, y: Uint8Array.of(7), 's\uD800': '\uDC00' },
        intake(),
        0,
      ),
    ).toStrictEqual({ n: null, z: [0], u: null, b: '5', y: { $bytes: 'Bw==' }, 's\uFFFD': '\uFFFD' })
  })

  it.each([
    ['a date', { d: new Date() }],
    ['a function', [() => 1]],
    ['a symbol', Symbol('x')],
    ['an instance', { m: new Map() }],
    ['__proto__', JSON.parse('[{"__proto__":1}]')],
  ])('refuses %s', (_, value) => {
    expect(() => ingest(value, intake(), 0, 3)).toThrow(
      expect.objectContaining({
        code: 'invalid-value',
        details: expect.objectContaining({ index: 3 }) as unknown,
      }),
    )
  })

  it('counts depth from the place, members over the whole request, and the length of strings', () => {
    const nest = (depth: number): unknown => (depth === 0 ? 1 : [nest(depth - 1)])
    expect(() => ingest(nest(5), intake({ jsonDepthMax: 7 }), 2)).not.toThrow()
    expect(() => ingest(nest(6), intake({ jsonDepthMax: 7 }), 2)).toThrow(/7 levels/)
    const request = intake({ jsonKeysMax: 5 })
    ingest([1, 2, 3], request, 0)
    expect(() => ingest({ a: 1, b: 2, c: 3 }, request, 0)).toThrow(/at most 5/)
    expect(() => ingest('abcd', intake({ stringLengthMax: 3 }), 0)).toThrow(/at most 3/)
  })

  it('does not run out of stack on what is too deep', () => {
    let deep: unknown = 1
    for (let i = 0; i < 100_000; i++) deep = { deep }
    expect(() => ingest(deep, intake(), 0)).toThrow(expect.objectContaining({ code: 'invalid-value' }))
  })
})

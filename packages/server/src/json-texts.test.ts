import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonTexts } from './json-texts.ts'

const json = fc.jsonValue({ maxDepth: 5 }).map((value) => JSON.parse(JSON.stringify(value)) as never)

test('the pieces together are the JSON text', () => {
  let cut = 0
  fc.assert(
    fc.property(json, fc.integer({ min: 1, max: 60 }), (value, length) => {
      const pieces = [...jsonTexts(value, length)]
      if (pieces.length > 1) cut += 1
      expect(pieces.join('')).toBe(JSON.stringify(value))
    }),
    { seed: 20261124, numRuns: 2_000 },
  )
  expect(cut).toBeGreaterThan(300)
})

test('no piece is much longer than asked for, whatever the shape', () => {
  const shapes = [
    Array.from({ length: 50_000 }, (_, index) => index),
    Object.fromEntries(
      Array.from({ length: 20_000 }, (_, index) => [`key${index}`, { value: 'x'.repeat(index % 40) }]),
    ),
    { a: { b: { c: Array.from({ length: 2_000 }, () => 'y'.repeat(50)) } } },
  ]
  for (const shape of shapes) {
    const pieces = [...jsonTexts(shape, 10_000)]
    expect(pieces.join('')).toBe(JSON.stringify(shape))
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(30_000)
    expect(pieces.length).toBeGreaterThan(5)
  }
})

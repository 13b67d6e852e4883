import { JsonView } from '@polyphony/translator'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { jsonTexts } from './json-texts.ts'

function viewOf(state: Readonly<Record<string, unknown>>): JsonView {
  const view = new JsonView(new Y.Doc({ gc: false }))
  for (const [key, value] of Object.entries(state)) view.doc.getMap('state').set(key, value)
  return view
}

test('the pieces together are the JSON text', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true }),
      fc.integer({ min: 1, max: 200 }),
      (state, length) => {
        const view = viewOf(JSON.parse(JSON.stringify(state)) as Record<string, unknown>)
        expect(JSON.parse([...jsonTexts(view.cursor(), length)].join(''))).toEqual(view.read())
      },
    ),
    { seed: 20261125, numRuns: 500 },
  )
})

test('no piece is much larger than asked for, or takes long', () => {
  const rows = Array.from({ length: 20_000 }, (_, index) => ({ index, text: `row ${index}` }))
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key ${index}`, index]))
  const pieces = [...jsonTexts(viewOf({ rows, ...many }).cursor(), 1_000)]
  for (const piece of pieces) expect(piece.length).toBeLessThan(1_100)
  // Sorting the keys of a large object is work without text.
  expect(pieces[0]).toBe('{')
  expect(pieces.filter((piece) => piece === '').length).toBeLessThan(20)
})

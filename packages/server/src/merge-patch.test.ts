import fc from 'fast-check'
import jsonPatch from 'fast-json-patch'
import { expect, test } from 'vitest'
import { mergePatchOperations } from './merge-patch.ts'

/** The pseudocode of RFC 7396, word for word. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = mergePatch(result[name], value)
  }
  return result
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function apply(state: Record<string, unknown>, patch: unknown): unknown {
  const operations = mergePatchOperations(
    patch as never,
    (pointer) => jsonPatch.getValueByPointer(state, pointer) as never,
  )
  return jsonPatch.applyPatch(structuredClone(state), operations as jsonPatch.Operation[], true).newDocument
}

const key = fc.constantFrom('a', 'b', 'c/d', 'e~f')
const json = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  object: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, 1, 'x', true),
    fc.array(fc.constantFrom(null, 1, 'y'), { maxLength: 3 }),
    tie('object'),
  ),
})).object

test('the operations do what RFC 7396 says', () => {
  fc.assert(
    fc.property(json, json, (state, patch) => {
      expect(apply(state, patch)).toEqual(mergePatch(state, patch))
    }),
    { seed: 20261124, numRuns: 3_000 },
  )
})

test('the example of RFC 7396', () => {
  const state = {
    title: 'Goodbye!',
    author: { givenName: 'John', familyName: 'Doe' },
    tags: ['example', 'sample'],
    content: 'Text',
  }
  const patch = { title: 'Hello!', phoneNumber: '+01-123', author: { familyName: null }, tags: ['example'] }
  expect(apply(state, patch)).toEqual({
    title: 'Hello!',
    author: { givenName: 'John' },
    tags: ['example'],
    content: 'Text',
    phoneNumber: '+01-123',
  })
})

test('scalars are written without looking at what is there', () => {
  const asked: string[] = []
  mergePatchOperations({ a: 1, b: [2], c: null, d: { e: 3 } }, (pointer) => {
    asked.push(pointer)
    return undefined
  })
  expect(asked).toEqual(['/c', '/d'])
})

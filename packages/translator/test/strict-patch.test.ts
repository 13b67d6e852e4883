import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { equal, type Json, type Operation } from './oracle/json.ts'
import { applyStrict, PatchFailure } from './oracle/strict-patch.ts'

interface Case {
  readonly doc: Json
  readonly patch: Operation[]
  readonly expected?: Json
  readonly error?: string
  readonly comment?: string
  readonly disabled?: boolean
}

// The oracle is only worth something if it is right itself.
describe.each(['tests', 'spec_tests'])('the strict reference passes the JSON Patch suite: %s', (file) => {
  const url = new URL(`./fixtures/${file}.json`, import.meta.url)
  const cases = (JSON.parse(readFileSync(url, 'utf8')) as Case[]).filter(
    (each) => each.disabled !== true && each.patch !== undefined,
  )

  it.each(cases.map((each, number) => ({ ...each, number })))('$number $comment $error', (each) => {
    if (each.error !== undefined) expect(() => applyStrict(each.doc, each.patch)).toThrow(PatchFailure)
    else if (each.expected !== undefined) expect(applyStrict(each.doc, each.patch)).toEqual(each.expected)
    else expect(applyStrict(each.doc, each.patch)).toBeDefined()
  })
})

it('tells apart what JSON tells apart', () => {
  expect(equal({ a: 1, b: [1, null] }, { b: [1, null], a: 1 })).toBe(true)
  expect(equal([], {})).toBe(false)
  expect(equal({ a: undefined }, { b: undefined })).toBe(false)
  expect(equal('1', 1)).toBe(false)
})

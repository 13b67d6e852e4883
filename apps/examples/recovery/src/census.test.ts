import { expect, test } from 'vitest'
import { takeCensus } from './census.ts'

test('a census counts what is there, what is lost, and what is there twice, expected or not', () => {
  const counts = new Map([
    ['a-0', 1],
    ['a-1', 2],
    ['b-0', 1],
    ['c-0', 3],
  ])
  expect(takeCensus(['a-0', 'a-1', 'a-2'], counts)).toEqual({ expected: 3, there: 2, lost: 1, twice: 2 })
  expect(takeCensus([], new Map())).toEqual({ expected: 0, there: 0, lost: 0, twice: 0 })
})

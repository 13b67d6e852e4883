import { expect, test } from 'vitest'
import { parseOptions } from './options.ts'

test('options have defaults, and say what is wrong with them', () => {
  expect(parseOptions([])).toMatchObject({ rounds: 5, authors: 6, documents: 3, fsync: true, compare: false })
  expect(parseOptions(['--', '--rounds', '9', '--seed', '7', '--no-fsync'])).toMatchObject({
    rounds: 9,
    seed: 7,
    fsync: false,
  })
  expect(parseOptions(['--help'])).toBeUndefined()
  for (const args of [
    ['--rounds', '0'],
    ['--authors', 'many'],
    ['--documents', '1.5'],
    ['--seed', '-1'],
  ])
    expect(() => parseOptions(args)).toThrow(args[0]?.replace('--', ''))
  expect(() => parseOptions(['--store', 'redis://localhost', '--no-fsync'])).toThrow('--no-fsync')
})

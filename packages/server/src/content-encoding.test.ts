import { expect, test } from 'vitest'
import { negotiateEncoding } from './content-encoding.ts'

test.each([
  [undefined, undefined],
  ['', undefined],
  ['gzip, deflate, br, zstd', 'br'],
  ['gzip, deflate', 'gzip'],
  ['br;q=0.1, gzip;q=0.9', 'gzip'],
  ['br;q=0, gzip;q=0', undefined],
  ['*', 'br'],
  ['*;q=0.5, br;q=0', 'gzip'],
  ['identity', undefined],
  ['GZIP ; q=1.0', 'gzip'],
] as const)('%j takes %s', (header, expected) => {
  expect(negotiateEncoding(header, ['br', 'gzip'])).toBe(expected)
})

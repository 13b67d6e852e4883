import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { describeStore, parseStoreLocation } from './store-location.ts'

test.each([
  ['memory:', { kind: 'memory' }],
  ['level:./here', { kind: 'level', directory: resolve('here') }],
  ['redis://localhost:6379', { kind: 'redis', url: 'redis://localhost:6379' }],
  ['rediss://cache.example', { kind: 'redis', url: 'rediss://cache.example' }],
  ['postgres://db.example/app', { kind: 'postgres', url: 'postgres://db.example/app' }],
  ['postgresql://db.example/app', { kind: 'postgres', url: 'postgresql://db.example/app' }],
])('%s', (text, location) => {
  expect(parseStoreLocation(text)).toEqual(location)
})

test.each(['', 'level:', 'redis:', 'http://a.example', '__proto__://a', 'postgres://[broken'])(
  '%j is no store',
  (text) => {
    expect(() => parseStoreLocation(text)).toThrow(/not a store/)
  },
)

test('credentials are told to nobody', () => {
  const location = parseStoreLocation('postgres://user:hunter2@db.example:5433/app?password=hunter3')
  expect(describeStore(location)).toBe('postgres://db.example:5433/app')
  expect(() => parseStoreLocation('mysql://user:hunter2@db.example')).not.toThrow(/hunter2/)
})

import { expect, test } from 'vitest'
import { parseRequestTarget } from './request-target.ts'

test.each([
  ['/', '/', ''],
  ['/v1/documents/a%2Fb?path=%2Fx', '/v1/documents/a%2Fb', 'path=%2Fx'],
  ['http://host:1/a?b=c', '/a', 'b=c'],
  ['https://host', '/', ''],
  ['/v1/documents/..%2F..', '/v1/documents/..%2F..', ''],
  ['/v1/documents/%2E%2E', '/v1/documents/%2E%2E', ''],
  ['/a?b#c', '/a', 'b='],
  ['//host/a', '//host/a', ''],
])('%s', (target, path, query) => {
  const parsed = parseRequestTarget(target)
  expect(parsed.path).toBe(path)
  expect(parsed.query.toString()).toBe(query)
})

test('the token is taken out', () => {
  const { token, query, redacted } = parseRequestTarget('/a?token=secret&path=/b')
  expect(token).toBe('secret')
  expect(query.has('token')).toBe(false)
  expect(redacted).toBe('/a?path=%2Fb')
})

test.each(['*', 'host:443', 'ftp://host/a'])('%s is refused', (target) => {
  expect(() => parseRequestTarget(target)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
})

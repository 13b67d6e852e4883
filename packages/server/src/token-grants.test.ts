import { expect, test } from 'vitest'
import { readGrants } from './token-grants.ts'

const grant = { pattern: 'notes/*', access: 'write', read: ['/a', '/c'], write: ['/a/b'] }

test('patterns and grants with pointers; the first that matches counts', () => {
  const grants = readGrants({
    documents: [grant, 'notes/**', { pattern: 'x', access: 'read' }],
    access: 'write',
  })
  const of = (documentId: string) => grants?.find(({ matches }) => matches(documentId))
  expect(of('notes/today')).toMatchObject({ access: 'write', scope: { read: ['/a', '/c'], write: ['/a/b'] } })
  expect(of('notes/a/b')).toMatchObject({ access: 'write', scope: undefined })
  expect(of('x')).toMatchObject({ access: 'read', scope: undefined })
  expect(of('y')).toBeUndefined()
})

test('without "write", a writer writes what it reads; a reader writes nothing', () => {
  const scopeOf = (entry: object) => readGrants({ documents: [{ pattern: '*', ...entry }] })?.[0]?.scope
  expect(scopeOf({ access: 'write', read: ['/a'] })).toEqual({ read: ['/a'], write: ['/a'] })
  expect(scopeOf({ access: 'write', write: ['/a'] })).toEqual({ read: [''], write: ['/a'] })
  expect(scopeOf({ access: 'read', read: ['/a'] })).toEqual({ read: ['/a'], write: [] })
})

test.each<[string, unknown, unknown?]>([
  ['no list', 'notes/*', 'write'],
  ['no access at all', ['notes/*']],
  ['another access', ['notes/*'], 'admin'],
  ['a member that is not known', [{ ...grant, wrte: [] }]],
  ['no pattern', [{ access: 'read' }]],
  ['an element of an array', [{ ...grant, write: ['/a/b/0'] }]],
  ['the end of an array', [{ ...grant, read: ['/a', '/c/-'] }]],
  ['an index on the way', [{ ...grant, read: ['/a', '/c/3/d'] }]],
  ['no JSON pointer', [{ ...grant, read: ['/a', 'c'] }]],
  ['half an escape', [{ ...grant, read: ['/a', '/c~'] }]],
  ['writing what it does not read', [{ ...grant, write: ['/b'] }]],
  ['writing a neighbour whose name begins alike', [{ ...grant, write: ['/ab'] }]],
  ['a reader that writes', [{ ...grant, access: 'read' }]],
  ['too many', Array.from({ length: 101 }, () => 'x'), 'read'],
])('grants nothing: %s', (_name, documents, access) => {
  expect(readGrants({ documents, access })).toBeUndefined()
})

test('a name that only looks like an index may end a scope', () => {
  const documents = [{ pattern: '*', access: 'read', read: ['/01', '/1a', '/--', '/a~1b', '/', '/x/'] }]
  expect(readGrants({ documents })?.[0]?.scope?.read).toHaveLength(6)
})

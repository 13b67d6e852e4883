import { expect, test } from 'vitest'
import { parseAddress } from './postgres-address.ts'

test('notifications come from the same address, unless it says otherwise', () => {
  const plain = 'postgres://ann:secret@pooler:6432/db?sslmode=require'
  expect(parseAddress(plain)).toEqual({ statements: plain, notifications: plain })
  expect(parseAddress('postgres://ann:secret@pooler:6432/db?sslmode=require&listen=main:5433')).toEqual({
    statements: plain,
    notifications: 'postgres://ann:secret@main:5433/db?sslmode=require',
  })
  expect(parseAddress('postgresql://pooler:6432/db?listen=main')).toEqual({
    statements: 'postgresql://pooler:6432/db',
    notifications: 'postgresql://main/db',
  })
})

test.each(['http://localhost', 'nonsense', 'postgres://a/b?listen=', 'postgres://a/b?listen=x@y'])(
  '"%s" is a TypeError',
  (address) => {
    expect(() => parseAddress(address)).toThrow(TypeError)
  },
)

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseKeyRing } from '@polyphony/storage/node'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keys } from './keys.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'polyphony-keys-'))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(directory, { recursive: true })
})

function run(...args: string[]): string {
  let said = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said += String(text)
    return true
  })
  expect(keys(args)).toBe(0)
  return said
}

test('a generated line is a key ring, and two are never the same', () => {
  const one = run('generate', 'a')
  expect(parseKeyRing(one).primaryKeyId).toBe('a')
  expect(run('generate', 'a')).not.toBe(one)
})

test('keys gather in a file that only its owner can read, and are listed without being shown', () => {
  const file = join(directory, 'ring')
  expect(run('generate', 'old', '--append', file) + run('generate', 'new', '--append', file)).toBe('')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(run('list', file)).toBe('old  (primary)\nnew\n')
  const secret = readFileSync(file, 'utf8').split('\n')[0]?.split(':')[1]
  expect(secret).toHaveLength(44)
})

test('a line is added only where the ring stays one', () => {
  const file = join(directory, 'ring')
  const withoutLineEnd = run('generate', 'old').trimEnd()
  writeFileSync(file, withoutLineEnd)
  run('generate', 'new', '--append', file)
  expect(run('list', file)).toBe('old  (primary)\nnew\n')

  const ring = readFileSync(file, 'utf8')
  expect(() => keys(['generate', 'new', '--append', file])).toThrow(/has a key "new" already/)
  expect(readFileSync(file, 'utf8')).toBe(ring)
  writeFileSync(file, 'shopping list')
  expect(() => keys(['generate', 'new', '--append', file])).toThrow(/is no key ring/)
  expect(readFileSync(file, 'utf8')).toBe('shopping list')
})

test('what is no key ring is refused without being repeated', () => {
  const file = join(directory, 'ring')
  writeFileSync(file, 'a:c2VjcmV0')
  expect(() => keys(['list', file])).toThrow(/is no key ring/)
  expect(() => keys(['list', file])).not.toThrow(/c2VjcmV0/)
  expect(() => keys(['generate', 'not an id'])).toThrow(/no key id/)
  expect(() => keys(['lose'])).toThrow(/Say/)
})

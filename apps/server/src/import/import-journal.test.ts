import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { StartError } from '../start-error.ts'
import { ImportJournal } from './import-journal.ts'

const subject = { from: 'JSON in a', store: 'level:b', prefix: '' }
let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'polyphony-journal-'))
  path = join(folder, 'journal')
})
afterEach(() => rmSync(folder, { recursive: true }))

it('remembers what is done, wherever a crash cut it off', () => {
  const first = ImportJournal.open(path, subject)
  expect(existsSync(path)).toBe(false)
  first.add('ä"\n', { verified: false })
  first.add('b', { verified: true })
  const whole = readFileSync(path)
  const header = whole.indexOf(10) + 1
  for (let end = header; end <= whole.length; end++) {
    writeFileSync(path, whole.subarray(0, end))
    const again = ImportJournal.open(path, subject)
    again.add('c', { verified: false })
    const last = ImportJournal.open(path, subject)
    expect(last.has('c', { verified: false })).toBe(true)
    expect(last.has('c', { verified: true })).toBe(false)
    // A line counts as soon as all of it but its end is there.
    expect(last.has('ä"\n', { verified: false })).toBe(end >= whole.indexOf(10, header))
    expect(last.has('b', { verified: true })).toBe(end >= whole.length - 1)
    expect(last.has('d', { verified: false })).toBe(false)
  }
})

it('counts a document as verified once it ever was', () => {
  const journal = ImportJournal.open(path, subject)
  for (const verified of [false, true, false]) journal.add('a', { verified })
  expect(ImportJournal.open(path, subject).has('a', { verified: true })).toBe(true)
})

it('refuses the journal of another import, and other files', () => {
  ImportJournal.open(path, subject).add('a', { verified: false })
  for (const other of [
    { ...subject, from: 'JSON in c' },
    { ...subject, store: 'level:c' },
    { ...subject, prefix: 'p/' },
  ])
    expect(() => ImportJournal.open(path, other)).toThrow(StartError)
  writeFileSync(path, 'hello\n')
  expect(() => ImportJournal.open(path, subject)).toThrow(StartError)
  expect(readFileSync(path, 'utf8')).toBe('hello\n')
})

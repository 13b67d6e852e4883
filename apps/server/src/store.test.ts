import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import { generateKeyLine } from '@polyphony/storage/node'
import { appendTo, readTexts, sampleEntry } from '@polyphony/storage/testing'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseConfiguration } from './configuration.ts'
import { readSettings } from './option-sources.ts'
import { openStore } from './store.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'polyphony-store-'))
  for (const name of ['ring', 'other']) writeFileSync(join(folder, name), generateKeyLine(`key-of-${name}`))
  writeFileSync(join(folder, 'twin'), generateKeyLine('key-of-ring'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function open(...flags: readonly string[]): Promise<DocumentStore> {
  const args = ['--store', `level:${join(folder, 'data')}`, '--fsync', 'off', ...flags]
  const { store, storage } = parseConfiguration(readSettings(args, {}))
  return openStore(store, storage, silentLogger)
}

const keys = (name: string): readonly string[] => ['--encryption-keys', join(folder, name)]

async function write(flags: readonly string[], ...documentIds: readonly string[]): Promise<void> {
  const store = await open(...flags)
  for (const documentId of documentIds) await appendTo(store, documentId, [sampleEntry('x'.repeat(5_000))])
  await store.close()
}

test.each([
  ['keys of an encrypted store are forgotten', ['ring'], [], /is encrypted: .*--encryption-keys/],
  ['keys are given for a store that has none', [], ['ring'], /is not encrypted, .*without encryption keys/],
  ['the ring lacks the key', ['ring'], ['other'], /under the key "key-of-ring", which is not in the ring/],
  ['the ring has another key of that name', ['ring'], ['twin'], /"key-of-ring" that is another one/],
])('does not open when %s, and says what to do', async (_, before, after, message) => {
  await write(before.flatMap(keys), 'a', 'b')
  await expect(open(...after.flatMap(keys))).rejects.toMatchObject({
    code: 'store-misconfigured',
    message: expect.stringMatching(message),
  })
  // It was closed again.
  await (await open(...before.flatMap(keys))).close()
})

test('opens when a document of those that are looked at can be read', async () => {
  await write(keys('ring'), 'a')
  const plain = await openLevelStore(join(folder, 'data'), { fsync: false })
  await appendTo(plain, 'b', [sampleEntry('plain')])
  await plain.create('0-empty')
  await plain.close()
  for (const [flags, readable, other] of [
    [keys('ring'), 'a', 'b'],
    [[], 'b', 'a'],
  ] as const) {
    const store = await open(...flags)
    expect(await readTexts(store, readable)).toHaveLength(1)
    await expect(readTexts(store, other)).rejects.toMatchObject({ code: 'store-misconfigured' })
    await store.close()
  }
})

test('compression is switched on and off over what is there', async () => {
  for (const [round, compress] of ['off', 'on', 'off', 'on'].entries()) {
    await write(['--compress', compress], `${round}`)
    const store = await open('--compress', compress)
    for (let at = 0; at <= round; at++) expect(await readTexts(store, `${at}`)).toEqual(['x'.repeat(5_000)])
    await store.close()
  }
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPostgresStore } from '@polyphony/storage-postgres'
import { startPostgres, type PostgresService } from '@polyphony/test-services'
import { toJson } from '@polyphony/translator'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readStoredDocument } from '../src/import/stored-document.ts'
import { runCommand } from './support/command.ts'

let postgres: PostgresService
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-import-'))
  postgres = await startPostgres()
})
afterAll(async () => {
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
})

it('polyphony import brings documents to PostgreSQL, a large one too', async () => {
  const large = { text: 'x'.repeat(3 << 20) }
  await writeFile(join(folder, 'large.json'), JSON.stringify(large))
  await writeFile(join(folder, 'small.json'), '{"a":[1,2]}')
  const args = ['import', '--from', `json:${folder}`, '--store', postgres.url, '--verify']
  expect(await runCommand([...args, '--dry-run'])).toMatchObject({ code: 0, err: '' })
  const ended = await runCommand(args)
  expect(ended).toMatchObject({ code: 0, err: '' })
  expect(ended.out).toContain('2 imported')
  const store = await openPostgresStore(postgres.url)
  const { doc } = (await readStoredDocument(store, 'large')) ?? {}
  expect(doc === undefined ? undefined : toJson(doc)).toEqual(large)
  await store.close()
  expect((await runCommand(args)).out).toContain('2 there already')
})

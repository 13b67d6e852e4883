import { startPostgres, type PostgresService } from '@polyphony/test-services'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer } from './support/running-server.ts'
import { expectKeptThroughKill } from './support/kept.ts'
import { expectNewIncarnations } from './support/put-back.ts'

let postgres: PostgresService
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

test('--store postgres://: what was acknowledged is there after kill -9', async () => {
  await expectKeptThroughKill(['--store', postgres.url])
})

test('polyphony restored: versions from after the backup that was put back are refused', async () => {
  await expectNewIncarnations(['--store', postgres.url, '--postgres-schema', 'put_back'])
})

test('a server that cannot be reached ends the start with a line without its password', async () => {
  const started = startServer(['--store', 'postgres://user:hunter2@127.0.0.1:1/none'])
  await expect(started).rejects.toThrow(/code 1/)
  await expect(started).rejects.not.toThrow(/hunter2/)
})

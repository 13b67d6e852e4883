import { randomBytes } from 'node:crypto'
import { openPostgresBus, openPostgresStore } from '@polyphony/storage-postgres'
import { findPostgres } from '@polyphony/test-services'
import { afterAll, beforeEach, describe } from 'vitest'
import { nodeLossTests } from './shared/node-loss.ts'
import { sharedStoreTests } from './shared/scenarios.ts'

const service = await findPostgres()
afterAll(() => service.stop())
let schema = ''
beforeEach(() => {
  schema = `test_${randomBytes(8).toString('hex')}`
})

describe('two servers on one PostgreSQL', () => {
  sharedStoreTests(async () => ({
    store: await openPostgresStore(service.url, { schema, connectionsMax: 4 }),
    bus: await openPostgresBus(service.url, { schema }),
  }))
  nodeLossTests(() => ({ kind: 'postgres', url: service.url, place: schema }))
})

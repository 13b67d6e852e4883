import { randomBytes } from 'node:crypto'
import { openPostgresBus, openPostgresStore } from '@polyphony/storage-postgres'
import { findPostgres } from '@polyphony/test-services'
import { Client } from 'pg'
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
  sharedStoreTests(
    async () => ({
      store: await openPostgresStore(service.url, { schema, connectionsMax: 4, pollMs: 500 }),
      bus: await openPostgresBus(service.url, { schema }),
    }),
    loseTail,
  )
  nodeLossTests(() => ({ kind: 'postgres', url: service.url, place: schema }))
})

async function loseTail(documentId: string, revision: number): Promise<void> {
  const admin = new Client(service.url)
  await admin.connect()
  await admin.query('BEGIN')
  await admin.query(
    `DELETE FROM "${schema}".entries e USING "${schema}".documents d WHERE d.id = $1 AND e.document = d.key AND e.revision > $2`,
    [documentId, revision],
  )
  await admin.query(
    `UPDATE "${schema}".documents d SET revision = $2, mark =
       (SELECT mark FROM "${schema}".entries e WHERE e.document = d.key AND e.revision = $2) WHERE id = $1`,
    [documentId, revision],
  )
  await admin.query('COMMIT')
  await admin.end()
}

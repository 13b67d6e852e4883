import { randomBytes } from 'node:crypto'
import { openPostgresBus, openPostgresStore } from '@polyphony/storage-postgres'
import { findPostgres } from '@polyphony/test-services'
import { Client } from 'pg'
import { afterAll, beforeEach, describe } from 'vitest'
import { sharedAgentTests } from './shared/agents.ts'
import { nodeLossTests } from './shared/node-loss.ts'
import type { NodePlace } from './shared/node-process.ts'
import { sharedStoreTests, type OpenNode } from './shared/scenarios.ts'

const service = await findPostgres()
afterAll(() => service.stop())
let schema = ''
beforeEach(() => {
  schema = `test_${randomBytes(8).toString('hex')}`
})

describe('two servers on one PostgreSQL', () => {
  const openNode: OpenNode = async () => ({
    store: await openPostgresStore(service.url, { schema, connectionsMax: 4, pollMs: 500 }),
    bus: await openPostgresBus(service.url, { schema }),
  })
  const placeOf = (): NodePlace => ({ kind: 'postgres', url: service.url, place: schema })
  sharedStoreTests(openNode, loseTail)
  nodeLossTests(placeOf)
  sharedAgentTests(openNode, placeOf)
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

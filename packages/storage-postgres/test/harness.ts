import { randomBytes } from 'node:crypto'
import { openPostgresBus, openPostgresStore, type PostgresStoreOptions } from '@polyphony/storage-postgres'
import type { StoreHarness } from '@polyphony/storage/testing'
import { findPostgres, openFaultyLink, type FaultyLink } from '@polyphony/test-services'
import { Client } from 'pg'

/** A PostgreSQL for one test file, with places on it that are a schema each, reached through a link that can fail. */
export async function openPostgresHarness(options: PostgresStoreOptions = {}): Promise<{
  readonly harness: StoreHarness
  readonly url: string
  readonly link: FaultyLink
  openBus(schema: string): ReturnType<typeof openPostgresBus>
  close(): Promise<void>
}> {
  const service = await findPostgres()
  const target = new URL(service.url)
  const link = await openFaultyLink(Number(target.port || 5432), target.hostname)
  const linked = new URL(service.url)
  linked.host = `127.0.0.1:${link.port}`
  const url = linked.href
  const admin = new Client(service.url)
  await admin.connect()
  return {
    url,
    link,
    harness: {
      async createPlace() {
        const schema = `test_${randomBytes(8).toString('hex')}`
        return {
          open: ({ retention } = {}) =>
            openPostgresStore(url, { pollMs: 2_000, connectionsMax: 4, ...options, schema, retention }),
          disturb: async (how) => link.breakNext(how, isNotification),
          async remove() {
            await admin.query(`DROP SCHEMA "${schema}" CASCADE`)
          },
        }
      },
    },
    openBus: (schema) => openPostgresBus(url, { schema }),
    async close() {
      await admin.end()
      await link.close()
      await service.stop()
    },
  }
}

/** Whether the server sends nothing but a notification: message type A. */
function isNotification(bytes: Buffer): boolean {
  return bytes[0] === 0x41 && !bytes.includes('polyphony probe')
}

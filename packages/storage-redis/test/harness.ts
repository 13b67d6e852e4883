import { randomUUID } from 'node:crypto'
import { openRedisBus, openRedisStore, type RedisStoreOptions } from '@polyphony/storage-redis'
import type { StoreHarness } from '@polyphony/storage/testing'
import { findRedis, openFaultyLink, type FaultyLink, type ServiceAddress } from '@polyphony/test-services'
import { Redis } from 'ioredis'

/** A Redis for one test file, with places on it that are a key prefix each, reached through a link that can fail. */
export async function openRedisHarness(
  options: RedisStoreOptions = {},
  find: () => Promise<ServiceAddress> = findRedis,
): Promise<{
  readonly harness: StoreHarness
  readonly url: string
  readonly link: FaultyLink
  openBus(prefix: string): ReturnType<typeof openRedisBus>
  close(): Promise<void>
}> {
  const service = await find()
  const target = new URL(service.url)
  const link = await openFaultyLink(Number(target.port || 6379), target.hostname)
  const linked = new URL(service.url)
  linked.host = `127.0.0.1:${link.port}`
  const url = linked.href
  const admin = new Redis(service.url)
  return {
    url,
    link,
    harness: {
      async createPlace() {
        const prefix = `test-${randomUUID()}`
        return {
          open: ({ retention } = {}) => openRedisStore(url, { pollMs: 2_000, ...options, prefix, retention }),
          disturb: async (how) => link.breakNext(how, (bytes) => bytes.includes('\r\nmessage\r\n')),
          remove: () => removeKeys(admin, prefix),
        }
      },
    },
    openBus: (prefix) => openRedisBus(url, { prefix }),
    async close() {
      admin.disconnect()
      await link.close()
      await service.stop()
    },
  }
}

async function removeKeys(admin: Redis, prefix: string): Promise<void> {
  for await (const keys of admin.scanStream({ match: `${prefix}:*`, count: 1000 }))
    if ((keys as string[]).length > 0) await admin.unlink(keys as string[])
}

import { randomUUID } from 'node:crypto'
import { openRedisBus, openRedisStore } from '@polyphony/storage-redis'
import { findRedis } from '@polyphony/test-services'
import { Redis } from 'ioredis'
import { afterAll, beforeEach, describe } from 'vitest'
import { sharedAgentTests } from './shared/agents.ts'
import { nodeLossTests } from './shared/node-loss.ts'
import type { NodePlace } from './shared/node-process.ts'
import { sharedStoreTests, type OpenNode } from './shared/scenarios.ts'

const service = await findRedis()
afterAll(() => service.stop())
let prefix = ''
beforeEach(() => {
  prefix = `test-${randomUUID()}`
})

describe('two servers on one Redis', () => {
  const openNode: OpenNode = async () => ({
    store: await openRedisStore(service.url, { prefix, pollMs: 500 }),
    bus: await openRedisBus(service.url, { prefix }),
  })
  const placeOf = (): NodePlace => ({ kind: 'redis', url: service.url, place: prefix })
  sharedStoreTests(openNode, loseTail)
  nodeLossTests(placeOf)
  sharedAgentTests(openNode, placeOf)
})

async function loseTail(documentId: string, revision: number): Promise<void> {
  const admin = new Redis(service.url)
  const base = `${prefix}:{${documentId}}:`
  await admin.call('eval', loseTailScript, 2, `${base}head`, `${base}log`, revision)
  admin.disconnect()
}

const loseTailScript = `
local last
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  if tonumber(string.match(entry[1], '^%d+')) > tonumber(ARGV[1]) then redis.call('XDEL', KEYS[2], entry[1])
  else last = entry end
end
redis.call('XSETID', KEYS[2], last[1])
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'mark', last[2][2])`

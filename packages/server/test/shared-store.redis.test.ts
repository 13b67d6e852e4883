import { randomUUID } from 'node:crypto'
import { openRedisBus, openRedisStore } from '@polyphony/storage-redis'
import { findRedis } from '@polyphony/test-services'
import { afterAll, beforeEach, describe } from 'vitest'
import { nodeLossTests } from './shared/node-loss.ts'
import { sharedStoreTests } from './shared/scenarios.ts'

const service = await findRedis()
afterAll(() => service.stop())
let prefix = ''
beforeEach(() => {
  prefix = `test-${randomUUID()}`
})

describe('two servers on one Redis', () => {
  sharedStoreTests(async () => ({
    store: await openRedisStore(service.url, { prefix }),
    bus: await openRedisBus(service.url, { prefix }),
  }))
  nodeLossTests(() => ({ kind: 'redis', url: service.url, place: prefix }))
})

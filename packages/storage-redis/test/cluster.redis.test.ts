import { randomUUID } from 'node:crypto'
import { openRedisBus, openRedisStore } from '@polyphony/storage-redis'
import {
  collect,
  contractTests,
  defineContractTests,
  sampleEntries,
  type StoreHarness,
} from '@polyphony/storage/testing'
import { startRedis, type RedisService } from '@polyphony/test-services'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test, vi } from 'vitest'

const nodes = await startCluster(3)
afterAll(async () => {
  for (const node of nodes) await node.stop()
})
const address = nodes[0]!.url

const harness: StoreHarness = {
  async createPlace() {
    const prefix = `test-${randomUUID()}`
    return {
      open: ({ retention } = {}) => openRedisStore(address, { prefix, retention, pollMs: 500 }),
      remove: async () => undefined,
    }
  },
}

describe('RedisStore on a cluster of three keeps the contract', () =>
  defineContractTests({ test, skip: test.skip }, harness, contractTests, { runs: 5 }))

test('the documents are spread over the nodes', async () => {
  const store = await openRedisStore(address, { prefix: 'spread' })
  const ids = Array.from({ length: 60 }, (_, index) => `doc-${index}`)
  await store.append(ids.map((documentId) => ({ documentId, entries: sampleEntries(1) })))
  expect((await collect(store.list())).length).toBe(60)
  await store.close()
  for (const { url } of nodes) {
    const node = new Redis(url)
    expect((await node.keys('spread:{doc-*')).length).toBeGreaterThan(10)
    node.disconnect()
  }
})

test('the bus reaches ends that are connected to other nodes', async () => {
  const ends = await Promise.all(nodes.map(({ url }) => openRedisBus(url, { prefix: 'bus' })))
  const heard = ends.map(() => 0)
  await Promise.all(ends.map((end, index) => end.subscribe('topic', () => void heard[index]!++)))
  await vi.waitFor(
    () => {
      ends[0]!.publish('topic', new Uint8Array([1]))
      expect(Math.min(...heard)).toBeGreaterThan(0)
    },
    { timeout: 20_000, interval: 50 },
  )
  for (const end of ends) await end.close()
})

async function startCluster(size: number): Promise<readonly RedisService[]> {
  const settings = { 'cluster-enabled': 'yes', 'cluster-node-timeout': '5000' }
  const services = await Promise.all(Array.from({ length: size }, () => startRedis({ settings })))
  const admins = services.map(({ url }) => new Redis(url))
  const slots = 16_384
  for (const [index, admin] of admins.entries()) {
    const [from, to] = [Math.floor((index * slots) / size), Math.floor(((index + 1) * slots) / size) - 1]
    await admin.call('cluster', 'addslots', ...Array.from({ length: to - from + 1 }, (_, at) => from + at))
    if (index > 0) await admin.call('cluster', 'meet', '127.0.0.1', services[0]!.port)
  }
  for (const admin of admins) {
    await vi.waitFor(
      async () => {
        const info = String(await admin.call('cluster', 'info'))
        expect(info).toContain('cluster_state:ok')
        expect(info).toContain(`cluster_known_nodes:${size}`)
      },
      { timeout: 30_000, interval: 50 },
    )
    admin.disconnect()
  }
  return services
}

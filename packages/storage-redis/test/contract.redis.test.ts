import { randomUUID } from 'node:crypto'
import type { Bus } from '@polyphony/storage'
import {
  busContractTests,
  contractTests,
  defineContractTests,
  readCapabilities,
} from '@polyphony/storage/testing'
import { afterAll, describe, expect, test } from 'vitest'
import { openRedisHarness } from './harness.ts'

const redis = await openRedisHarness()
const { harness, link } = redis
afterAll(() => redis.close())
const runner = { test, skip: test.skip }

test('with the append-only file synced before each reply, it survives a kill and a power cut', async () => {
  const { capabilities, canDisturb } = await readCapabilities(harness)
  expect(capabilities).toEqual({
    name: 'redis',
    survives: { processKill: true, powerCut: true, failover: false },
    shared: true,
  })
  expect(canDisturb).toBe(true)
})

describe('RedisStore keeps the contract', () => defineContractTests(runner, harness, contractTests))

test('notifications did get lost, repeated and cut off', () => {
  // How often depends on how many notifications come while a connection is being made again.
  expect([...link.delivered].toSorted()).toEqual(['disconnect', 'lose', 'repeat'])
})

describe('RedisBus keeps the contract', () => {
  for (const busTest of busContractTests) {
    test(busTest.title, async () => {
      const prefix = `test-${randomUUID()}`
      const opened: Bus[] = []
      try {
        await busTest.run(async () => {
          const bus = await redis.openBus(prefix)
          opened.push(bus)
          return bus
        })
      } finally {
        for (const bus of opened) await bus.close()
      }
    })
  }
})

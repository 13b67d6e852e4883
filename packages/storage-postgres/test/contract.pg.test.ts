import { randomBytes } from 'node:crypto'
import type { Bus } from '@polyphony/storage'
import {
  busContractTests,
  contractTests,
  defineContractTests,
  readCapabilities,
} from '@polyphony/storage/testing'
import { afterAll, describe, expect, test } from 'vitest'
import { openPostgresHarness } from './harness.ts'

const postgres = await openPostgresHarness()
const { harness, link } = postgres
afterAll(() => postgres.close())
const runner = { test, skip: test.skip }

test('with the settings that PostgreSQL comes with, it survives a kill and a power cut', async () => {
  const { capabilities, canDisturb } = await readCapabilities(harness)
  expect(capabilities).toEqual({
    name: 'postgres',
    survives: { processKill: true, powerCut: true, failover: false },
    shared: true,
  })
  expect(canDisturb).toBe(true)
})

describe('PostgresStore keeps the contract', () => defineContractTests(runner, harness, contractTests))

test('notifications did get lost, repeated and cut off', () => {
  // How often depends on how many notifications come while a connection is being made again.
  expect([...link.delivered].toSorted()).toEqual(['disconnect', 'lose', 'repeat'])
})

describe('PostgresBus keeps the contract', () => {
  for (const busTest of busContractTests) {
    test(busTest.title, async () => {
      const schema = `test_${randomBytes(8).toString('hex')}`
      const opened: Bus[] = []
      try {
        await busTest.run(async () => {
          const bus = await postgres.openBus(schema)
          opened.push(bus)
          return bus
        })
      } finally {
        for (const bus of opened) await bus.close()
      }
    })
  }
})

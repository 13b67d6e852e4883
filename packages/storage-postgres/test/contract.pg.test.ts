import { randomBytes } from 'node:crypto'
import type { Bus } from '@polyphony/storage'
import {
  busContractTests,
  contractTests,
  readCapabilities,
  runContractTest,
  skipReason,
} from '@polyphony/storage/testing'
import { afterAll, describe, expect, test } from 'vitest'
import { openPostgresHarness } from './harness.ts'

const postgres = await openPostgresHarness()
const { harness, link } = postgres
afterAll(() => postgres.close())

describe('PostgresStore keeps the contract', async () => {
  const { capabilities, canDisturb } = await readCapabilities(harness)

  test('with the settings that PostgreSQL comes with, it survives a kill and a power cut', () => {
    expect(capabilities).toEqual({
      name: 'postgres',
      survives: { processKill: true, powerCut: true, failover: false },
      shared: true,
    })
    expect(canDisturb).toBe(true)
  })

  for (const contractTest of contractTests) {
    const reason = skipReason(contractTest, capabilities, canDisturb)
    test.skipIf(reason !== undefined)(contractTest.title, () => runContractTest(contractTest, harness))
  }
})

test('notifications did get lost, repeated and cut off', () => {
  expect(link.faults).toBeGreaterThanOrEqual(12)
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

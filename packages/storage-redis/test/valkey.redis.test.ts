import { contractTests, defineContractTests } from '@polyphony/storage/testing'
import { findBinary, startRedis } from '@polyphony/test-services'
import { afterAll, describe, test } from 'vitest'
import { openRedisHarness } from './harness.ts'

// The other tests run on whatever `startRedis` finds first; `POLYPHONY_TEST_REDIS_SERVER=valkey-server` puts all of them,
// those that break the server included, on Valkey.
const isThere = findBinary('valkey-server') !== undefined
const valkey = isThere
  ? await openRedisHarness({}, () => startRedis({ program: 'valkey-server' }))
  : undefined
afterAll(() => valkey?.close())

if (valkey === undefined) test.skip('on Valkey: left out, there is no valkey-server on this machine')
else
  describe('RedisStore on Valkey keeps the contract', () =>
    defineContractTests({ test, skip: test.skip }, valkey.harness, contractTests, { runs: 5 }))

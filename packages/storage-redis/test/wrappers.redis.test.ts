import type { DocumentStore } from '@polyphony/storage'
import { compressed, encrypted, generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { contractTests, defineContractTests, type StoreHarness } from '@polyphony/storage/testing'
import { afterAll, describe, test } from 'vitest'
import { openRedisHarness } from './harness.ts'

const redis = await openRedisHarness()
afterAll(() => redis.close())
const keys = parseKeyRing(generateKeyLine('test'))

function wrapped(wrap: (store: DocumentStore) => DocumentStore): StoreHarness {
  return {
    async createPlace() {
      const place = await redis.harness.createPlace()
      return { ...place, open: async (options) => wrap(await place.open(options)) }
    },
  }
}

describe('compressed and encrypted on Redis keep the contract', () =>
  defineContractTests(
    { test, skip: test.skip },
    wrapped((store) => compressed(encrypted(store, keys))),
    contractTests,
    { runs: 4 },
  ))

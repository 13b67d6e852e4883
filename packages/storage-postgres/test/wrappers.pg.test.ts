import type { DocumentStore } from '@polyphony/storage'
import { compressed, encrypted, generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { contractTests, defineContractTests, type StoreHarness } from '@polyphony/storage/testing'
import { afterAll, describe, test } from 'vitest'
import { openPostgresHarness } from './harness.ts'

const postgres = await openPostgresHarness()
afterAll(() => postgres.close())
const keys = parseKeyRing(generateKeyLine('test'))

function wrapped(wrap: (store: DocumentStore) => DocumentStore): StoreHarness {
  return {
    async createPlace() {
      const place = await postgres.harness.createPlace()
      return { ...place, open: async (options) => wrap(await place.open(options)) }
    },
  }
}

describe('compressed and encrypted on Postgres keep the contract', () =>
  defineContractTests(
    { test, skip: test.skip },
    wrapped((store) => compressed(encrypted(store, keys))),
    contractTests,
    { runs: 4 },
  ))

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contractTests, defineContractTests, type StoreHarness } from '@polyphony/storage/testing'
import { describe, it } from 'vitest'
import { openLevelStore, type LevelStoreOptions } from '@polyphony/storage-level'

function harness(options: LevelStoreOptions): StoreHarness {
  return {
    createPlace: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'polyphony-level-'))
      return {
        open: async ({ retention } = {}) => await openLevelStore(directory, { ...options, retention }),
        remove: () => rm(directory, { recursive: true }),
      }
    },
  }
}

const runner = { test: it, skip: it.skip }

describe('LevelStore keeps the contract', () => defineContractTests(runner, harness({}), contractTests))

describe('LevelStore without fsync, and with room for two heads, keeps the contract', () =>
  defineContractTests(runner, harness({ fsync: false, headsCachedMax: 2 }), contractTests, { runs: 5 }))

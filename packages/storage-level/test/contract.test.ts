import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DocumentStore } from '@polyphony/storage'
import { compressed, encrypted, generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { contractTests, defineContractTests, type StoreHarness } from '@polyphony/storage/testing'
import { Level } from 'level'
import { describe, it } from 'vitest'
import { openLevelStore, type AnyLevel, type LevelStoreOptions } from '@polyphony/storage-level'

/** A place is a directory; `wrap` goes around each store. */
function harness(
  options: LevelStoreOptions,
  wrap: (store: DocumentStore) => DocumentStore = (store) => store,
  open: (directory: string) => string | AnyLevel = (directory) => directory,
): StoreHarness {
  return {
    createPlace: async () => {
      const directory = await mkdtemp(join(tmpdir(), 'polyphony-level-'))
      return {
        open: async ({ retention } = {}) =>
          wrap(await openLevelStore(open(directory), { ...options, retention })),
        remove: () => rm(directory, { recursive: true }),
      }
    },
  }
}

const runner = { test: it, skip: it.skip }

describe('LevelStore keeps the contract', () => defineContractTests(runner, harness({}), contractTests))

describe('LevelStore without fsync, and with room for two heads, keeps the contract', () =>
  defineContractTests(runner, harness({ fsync: false, headsCachedMax: 2 }), contractTests, { runs: 5 }))

/** As IndexedDB is: reads do not hold on to one instant. */
function withoutSnapshots(directory: string): AnyLevel {
  const level = new Level<unknown, unknown>(directory)
  Object.defineProperty(level, 'supports', { value: { ...level.supports, explicitSnapshots: false } })
  return level
}

describe('LevelStore on a database without snapshots keeps the contract', () =>
  defineContractTests(runner, harness({ fsync: false }, undefined, withoutSnapshots), contractTests, {
    runs: 3,
  }))

const keys = parseKeyRing(generateKeyLine('test'))

describe('compressed(encrypted(LevelStore)) keeps the contract', () =>
  defineContractTests(
    runner,
    harness({ fsync: false }, (store) => compressed(encrypted(store, keys))),
    contractTests,
    { runs: 3 },
  ))

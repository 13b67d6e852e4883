import { systemClock } from '@polyphony/core'
import {
  MemoryDisk,
  MemoryStore,
  observed,
  sharded,
  SharedMemoryStore,
  type DocumentStore,
} from '@polyphony/storage'
import { compressed, encrypted, generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { contractTests, defineContractTests, type StoreHarness } from '@polyphony/storage/testing'
import { describe, it } from 'vitest'
import { RecordingTelemetry } from './support/recording-telemetry.ts'

const keys = parseKeyRing(generateKeyLine('test'))
const telemetry = new RecordingTelemetry()

const wrappers: Readonly<Record<string, (store: DocumentStore) => DocumentStore>> = {
  compressed: (store) => compressed(store),
  'compressed, whatever the size': (store) => compressed(store, { thresholdBytes: 0 }),
  'compressed, switched off': (store) => compressed(store, { thresholdBytes: Infinity }),
  encrypted: (store) => encrypted(store, keys),
  observed: (store) => observed(store, { telemetry, clock: systemClock }),
  'compressed(encrypted)': (store) => compressed(encrypted(store, keys)),
  'encrypted(compressed)': (store) => encrypted(compressed(store), keys),
  'observed(compressed(encrypted))': (store) =>
    observed(compressed(encrypted(store, keys)), { telemetry, clock: systemClock }),
}

function wrapped(wrap: (store: DocumentStore) => DocumentStore): StoreHarness {
  return {
    createPlace: async () => {
      const disk = new MemoryDisk()
      return {
        open: async ({ retention } = {}) => wrap(new SharedMemoryStore({ retention, disk })),
        remove: async () => undefined,
        disturb: async (how) => {
          if (how !== 'disconnect') disk.disturb(how)
        },
      }
    },
  }
}

const shards: StoreHarness = {
  createPlace: async () => ({
    open: async ({ retention } = {}) =>
      sharded(
        Object.fromEntries(['one', 'two', 'three'].map((name) => [name, new MemoryStore({ retention })])),
      ),
    remove: async () => undefined,
  }),
}

const runner = { test: it, skip: it.skip }

for (const [name, wrap] of Object.entries(wrappers))
  describe(`${name} keeps the contract`, () =>
    defineContractTests(runner, wrapped(wrap), contractTests, { runs: 8 }))

describe('sharded keeps the contract', () => defineContractTests(runner, shards, contractTests, { runs: 8 }))

import { MemoryBus, MemoryDisk, MemoryStore, SharedMemoryStore } from '@polyphony/storage'
import {
  busContractTests,
  contractTests,
  defineContractTests,
  type StoreHarness,
} from '@polyphony/storage/testing'
import { describe, it } from 'vitest'

const memory: StoreHarness = {
  createPlace: async () => ({
    open: async ({ retention } = {}) => new MemoryStore({ retention }),
    remove: async () => undefined,
  }),
}

const sharedMemory: StoreHarness = {
  createPlace: async () => {
    const disk = new MemoryDisk()
    return {
      open: async ({ retention } = {}) => new SharedMemoryStore({ retention, disk }),
      remove: async () => undefined,
      disturb: async (how) => {
        if (how !== 'disconnect') disk.disturb(how)
      },
    }
  },
}

const runner = { test: it, skip: it.skip }

describe('MemoryStore keeps the contract', () => defineContractTests(runner, memory, contractTests))
describe('SharedMemoryStore keeps the contract', () =>
  defineContractTests(runner, sharedMemory, contractTests))

describe('MemoryBus keeps the contract', () => {
  for (const test of busContractTests) {
    it(test.title, async () => {
      const bus = new MemoryBus()
      await test.run(async () => bus.connect())
    })
  }
})

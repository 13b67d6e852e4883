import { MemoryBus, MemoryDisk, SharedMemoryStore } from '@polyphony/storage'
import { beforeEach, describe } from 'vitest'
import { sharedStoreTests } from './shared/scenarios.ts'

describe('two servers in one process', () => {
  let disk = new MemoryDisk()
  let bus = new MemoryBus()
  beforeEach(() => {
    disk = new MemoryDisk()
    bus = new MemoryBus()
  })
  sharedStoreTests(async () => ({ store: new SharedMemoryStore({ disk }), bus: bus.connect() }))
})

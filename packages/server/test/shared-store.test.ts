import { MemoryBus, MemoryDisk, SharedMemoryStore } from '@polyphony/storage'
import { beforeEach, describe } from 'vitest'
import { sharedAgentTests } from './shared/agents.ts'
import { sharedStoreTests, type OpenNode } from './shared/scenarios.ts'

describe('two servers in one process', () => {
  let disk = new MemoryDisk()
  let bus = new MemoryBus()
  beforeEach(() => {
    disk = new MemoryDisk()
    bus = new MemoryBus()
  })
  const openNode: OpenNode = async () => ({ store: new SharedMemoryStore({ disk }), bus: bus.connect() })
  sharedStoreTests(openNode)
  sharedAgentTests(openNode)
})

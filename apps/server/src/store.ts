import { mkdirSync } from 'node:fs'
import type { Logger } from '@polyphony/core'
import { MemoryStore, type DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import type { StoreLocation } from './configuration.ts'

/** Opens the store that the configuration names; directories come into being. */
export async function openStore(location: StoreLocation, logger: Logger): Promise<DocumentStore> {
  switch (location.kind) {
    case 'memory':
      return new MemoryStore()
    case 'level':
      mkdirSync(location.directory, { recursive: true })
      return await openLevelStore(location.directory, { logger })
  }
}

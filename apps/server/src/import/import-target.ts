import { existsSync } from 'node:fs'
import { isPolyphonyError, type Logger } from '@polyphony/core'
import { MemoryStore, type DocumentStore } from '@polyphony/storage'
import { StartError } from '../start-error.ts'
import { describeStore, type StoreLocation } from '../store-location.ts'
import type { StoreSettings } from '../store-settings.ts'
import { openStore } from '../store.ts'

export interface TargetOptions {
  readonly store: StoreLocation
  readonly storage: StoreSettings
  /** Do not make a directory that is not there: an empty store stands for it. */
  readonly dryRun: boolean
}

/** Opens the store that documents go into, as a server would; throws a `StartError` that says what is wrong with it. */
export async function openTarget(options: TargetOptions, logger: Logger): Promise<DocumentStore> {
  const { store, storage, dryRun } = options
  if (dryRun && store.kind === 'level' && !existsSync(store.directory)) return new MemoryStore()
  try {
    return await openStore(store, storage, logger)
  } catch (error) {
    const place = describeStore(store)
    const isLocked = isPolyphonyError(error) && error.code === 'store-locked'
    const message = isLocked
      ? `The store ${place} is open in another process: stop that server first.`
      : `The store ${place} cannot be opened: ${error instanceof Error ? error.message : String(error)}`
    throw new StartError(message, { cause: error })
  }
}

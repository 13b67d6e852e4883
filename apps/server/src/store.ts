import { mkdirSync } from 'node:fs'
import { isPolyphonyError, type Logger } from '@polyphony/core'
import { MemoryStore, type Bus, type DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import { compressed, encrypted, readKeyRing } from '@polyphony/storage/node'
import type { StoreLocation, StoreSettings } from './store-location.ts'

/** Opens the store that the configuration names, in the wrappers that it asks for; directories come into being. */
export async function openStore(
  location: StoreLocation,
  settings: StoreSettings,
  logger: Logger,
): Promise<DocumentStore> {
  // Before the store is opened: a key ring that cannot be read must not leave one behind.
  const keys = settings.encryptionKeys === undefined ? undefined : await readKeyRing(settings.encryptionKeys)
  const plain = await openPlainStore(location, settings, logger)
  const sealed = keys === undefined ? plain : encrypted(plain, keys)
  // Also without compression: what was compressed once stays readable, and what is encrypted is noticed.
  const store = compressed(sealed, settings.compress ? {} : { thresholdBytes: Infinity })
  try {
    await assertReadable(store)
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

/** How many documents have to be unreadable before it is the settings that are wrong, and not a document. */
const samplesMax = 8

/** Rejects with `store-misconfigured` when all of the first documents were written with other settings. */
async function assertReadable(store: DocumentStore): Promise<void> {
  let problem: unknown
  for await (const { documentId, revision } of store.list({ limit: samplesMax })) {
    if (revision === 0) continue
    try {
      for await (const _first of store.read(documentId)) break
      return
    } catch (error) {
      // Anything else concerns one document, and is told to whoever opens it.
      if (!isPolyphonyError(error) || error.code !== 'store-misconfigured') return
      problem ??= error
    }
  }
  if (problem !== undefined) throw problem
}

/** What brings presence from and to other nodes; `undefined` for a store that no other node shares. */
export async function openBus(location: StoreLocation, logger: Logger): Promise<Bus | undefined> {
  switch (location.kind) {
    case 'memory':
    case 'level':
      return undefined
    case 'redis': {
      const { openRedisBus } = await import('@polyphony/storage-redis')
      return await openRedisBus(location.url, { logger })
    }
    case 'postgres': {
      const { openPostgresBus } = await import('@polyphony/storage-postgres')
      return await openPostgresBus(location.url, { logger })
    }
  }
}

async function openPlainStore(
  location: StoreLocation,
  { fsync, allowVolatile }: StoreSettings,
  logger: Logger,
): Promise<DocumentStore> {
  switch (location.kind) {
    case 'memory':
      return new MemoryStore()
    case 'level':
      mkdirSync(location.directory, { recursive: true })
      return await openLevelStore(location.directory, { fsync, logger })
    // Their clients are loaded only where they are used.
    case 'redis': {
      const { openRedisStore } = await import('@polyphony/storage-redis')
      return await openRedisStore(location.url, { allowVolatile, logger })
    }
    case 'postgres': {
      const { openPostgresStore } = await import('@polyphony/storage-postgres')
      return await openPostgresStore(location.url, { allowVolatile, logger })
    }
  }
}

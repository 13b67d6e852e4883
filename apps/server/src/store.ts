import { mkdirSync, readFileSync } from 'node:fs'
import { isPolyphonyError, type Logger } from '@polyphony/core'
import { MemoryStore, type Bus, type DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import type { PostgresConnectionOptions } from '@polyphony/storage-postgres'
import type { RedisConnectionOptions } from '@polyphony/storage-redis'
import { compressed, encrypted, parseKeyRing, readKeyRing, type KeyRing } from '@polyphony/storage/node'
import type { StoreLocation } from './store-location.ts'
import type { StoreSettings } from './store-settings.ts'

/** Opens the store that the configuration names, in the wrappers that it asks for; directories come into being. */
export async function openStore(
  location: StoreLocation,
  settings: StoreSettings,
  logger: Logger,
): Promise<DocumentStore> {
  // Before the store is opened: a key ring that cannot be read must not leave one behind.
  const keys = settings.encryptionKeys === undefined ? undefined : await readKeys(settings.encryptionKeys)
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
export async function openBus(
  location: StoreLocation,
  settings: StoreSettings,
  logger: Logger,
): Promise<Bus | undefined> {
  switch (location.kind) {
    case 'memory':
    case 'level':
      return undefined
    case 'redis': {
      const { openRedisBus } = await import('@polyphony/storage-redis')
      return await openRedisBus(location.url, redisOptions(settings, logger))
    }
    case 'postgres': {
      const { openPostgresBus } = await import('@polyphony/storage-postgres')
      const { connectionsMax: _ofStore, ...options } = postgresOptions(settings, logger)
      return await openPostgresBus(location.url, options)
    }
  }
}

async function openPlainStore(
  location: StoreLocation,
  settings: StoreSettings,
  logger: Logger,
): Promise<DocumentStore> {
  const { fsync, history: retention, levelCacheBytes: cacheBytes } = settings
  switch (location.kind) {
    case 'memory':
      return new MemoryStore({ retention })
    case 'level':
      mkdirSync(location.directory, { recursive: true })
      return await openLevelStore(location.directory, { fsync, cacheBytes, retention, logger })
    case 'redis':
    case 'postgres':
      return await openSharedStore(location, settings, logger)
  }
}

/** A store that many nodes share, as it is without wrappers. */
export interface SharedStore extends DocumentStore {
  /** Begins a new incarnation of a document: after a backup was put back. */
  renew(documentId: string): Promise<void>
}

/** Opens the Redis or PostgreSQL at `location`, without the wrappers that the settings ask for. */
export async function openSharedStore(
  location: Extract<StoreLocation, { readonly kind: 'redis' | 'postgres' }>,
  settings: StoreSettings,
  logger: Logger,
): Promise<SharedStore> {
  const { allowVolatile, history: retention } = settings
  // Their clients are loaded only where they are used.
  if (location.kind === 'redis') {
    const { openRedisStore } = await import('@polyphony/storage-redis')
    const { waitReplicas } = settings.redis
    const options = { ...redisOptions(settings, logger), allowVolatile, retention, waitReplicas }
    return await openRedisStore(location.url, options)
  }
  const { openPostgresStore } = await import('@polyphony/storage-postgres')
  const options = { ...postgresOptions(settings, logger), allowVolatile, retention }
  return await openPostgresStore(location.url, options)
}

function redisOptions(settings: StoreSettings, logger: Logger): RedisConnectionOptions {
  const { timeoutMs, connectTimeoutMs } = settings
  const { prefix, sentinel } = settings.redis
  return { prefix, sentinel, connectTimeoutMs, commandTimeoutMs: timeoutMs, ca: readCa(settings), logger }
}

function postgresOptions(settings: StoreSettings, logger: Logger): PostgresConnectionOptions {
  const { timeoutMs, connectTimeoutMs, postgres } = settings
  return { ...postgres, connectTimeoutMs, statementTimeoutMs: timeoutMs, ca: readCa(settings), logger }
}

/** @param place a file, or `env:NAME`. */
async function readKeys(place: string): Promise<KeyRing> {
  const name = /^env:(.*)$/s.exec(place)?.[1]
  try {
    return name === undefined ? await readKeyRing(place) : parseKeyRing(process.env[name] ?? '')
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    const append = name === undefined ? ` --append ${place}` : ''
    throw new Error(
      `the key ring ${place} cannot be used: ${problem}. To make one: polyphony keys generate${append}`,
      { cause },
    )
  }
}

function readCa({ ca }: StoreSettings): string | undefined {
  if (ca === undefined) return undefined
  try {
    return readFileSync(ca, 'utf8')
  } catch (cause) {
    throw new Error(
      `the certificates ${ca} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    )
  }
}

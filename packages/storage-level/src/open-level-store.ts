import {
  silentLogger,
  systemClock,
  systemRandom,
  toPolyphonyError,
  type Clock,
  type Logger,
  type Random,
} from '@polyphony/core'
import { defaultRetention, type RetentionPolicy, type StoreCapabilities } from '@polyphony/storage'
import { Level } from 'level'
import { placeOf } from '#place'
import { acquireBrowserLock } from './browser-lock.ts'
import { LevelDatabase, type AnyLevel } from './level-database.ts'
import { LevelStore } from './level-store.ts'

export interface LevelStoreOptions {
  /**
   * Whether an append waits until the disk has it. Default true. Off, an append survives the end of the process but not a
   * power cut, and costs much less; after a power cut or a kill all documents have new incarnations.
   */
  readonly fsync?: boolean | undefined
  /** How long entries stay readable that a checkpoint covers. Default: `defaultRetention`. */
  readonly retention?: RetentionPolicy | undefined
  /** Heads kept in memory, about 400 bytes each. Default 10,000. */
  readonly headsCachedMax?: number | undefined
  /** Of LevelDB, for writes that its tables have not taken over yet; up to twice as much is used. Default 16 MB. */
  readonly writeBufferBytes?: number | undefined
  /** Of LevelDB, for blocks that were read. Default 32 MB. */
  readonly cacheBytes?: number | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** Hears of removals that failed in the background and of a database that was opened again. */
  readonly logger?: Logger | undefined
  /** What survives what, for a database of another kind than LevelDB. */
  readonly survives?: StoreCapabilities['survives'] | undefined
}

/**
 * Opens a store in a directory (in browsers: an IndexedDB database of that name), or on a database of the `level` family
 * that the caller made; the store opens and closes it. Takes up what a crash left half removed. In a directory that is a
 * copy of another one, or was put back from a backup, documents have new incarnations. Rejects with
 * `store-locked` when another process has it open, `store-corrupt`, or `store-failed`.
 */
export async function openLevelStore(
  location: string | AnyLevel,
  options: LevelStoreOptions = {},
): Promise<LevelStore> {
  const { fsync = true, logger = silentLogger } = options
  const level = typeof location === 'string' ? openLevel(location, options) : location
  // Of the family only LevelDB itself compacts ranges: it locks its directory, and can wait for the disk.
  const isLevelDb = 'compactRange' in level
  const release =
    isLevelDb || typeof location !== 'string' ? () => undefined : await acquireBrowserLock(location)
  const database = new LevelDatabase(level, logger, release)
  try {
    await database.open()
    return await LevelStore.start(database, {
      capabilities: {
        name: 'level',
        survives: options.survives ?? { processKill: true, powerCut: isLevelDb && fsync, failover: false },
        shared: false,
      },
      fsync,
      place: isLevelDb && typeof location === 'string' ? placeOf(location) : undefined,
      logger,
      retention: options.retention ?? defaultRetention,
      headsCachedMax: options.headsCachedMax ?? 10_000,
      clock: options.clock ?? systemClock,
      random: options.random ?? systemRandom,
    })
  } catch (error) {
    await database.close().catch((reason: unknown) => {
      logger.warn({ error: String(reason) }, 'a database that could not be opened could not be closed either')
    })
    throw toPolyphonyError(error, 'store-failed')
  }
}

function openLevel(location: string, options: LevelStoreOptions): AnyLevel {
  return new Level<unknown, unknown>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    writeBufferSize: options.writeBufferBytes ?? 16 << 20,
    cacheSize: options.cacheBytes ?? 32 << 20,
    maxFileSize: 8 << 20,
  })
}

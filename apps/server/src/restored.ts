import type { Logger } from '@polyphony/core'
import { parseConfiguration } from './configuration.ts'
import { createLog } from './log.ts'
import { readSettings, type Environment } from './option-sources.ts'
import { toStartError } from './start-error.ts'
import { describeStore } from './store-location.ts'
import { openSharedStore, type SharedStore } from './store.ts'
import { UsageError } from './usage-error.ts'

/**
 * Gives every document of a Redis or PostgreSQL that was put back from a backup a new incarnation: without it, revisions
 * from after the backup would be given out again with other content. Returns the exit code. One request per document.
 */
export async function restored(args: readonly string[], env: Environment): Promise<number> {
  const configuration = parseConfiguration(readSettings(args, env))
  const { store: location, storage } = configuration
  const logger: Logger = createLog('error')
  if (location.kind !== 'redis' && location.kind !== 'postgres')
    throw new UsageError(
      `${describeStore(location)} needs no such thing: level: notices by itself that its directory was put back (docs/durability.md). This is for redis:// and postgres://.`,
    )
  try {
    const store = await openSharedStore(location, storage, logger)
    try {
      const count = await renewAll(store)
      process.stdout.write(`${count} documents of ${describeStore(location)} have new incarnations.\n`)
      return 0
    } finally {
      await store.close()
    }
  } catch (error) {
    throw toStartError(error, configuration)
  }
}

async function renewAll(store: SharedStore): Promise<number> {
  let count = 0
  for await (const { documentId } of store.list()) {
    await store.renew(documentId)
    count++
  }
  return count
}

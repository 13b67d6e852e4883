import { PolyphonyError, type Logger } from '@polyphony/core'
import type { StoreCapabilities } from '@polyphony/storage'
import type { PostgresDatabase } from './postgres-database.ts'
import type { PostgresStoreOptions } from './postgres-options.ts'

interface Settings {
  readonly version: number
  readonly encoding: string
  readonly replica: boolean
  readonly fsync: string
  readonly pages: string
  readonly commit: string
  readonly standbys: string
}

/**
 * Reads what the server survives from its settings. Rejects with `store-failed` when it cannot be written to or, unless
 * `allowVolatile`, when a crash may take back what it has acknowledged.
 */
export async function checkServer(
  database: PostgresDatabase,
  options: PostgresStoreOptions,
  logger: Logger,
): Promise<StoreCapabilities['survives']> {
  const [settings] = await database.query<Settings & Record<string, unknown>>(
    `SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() AS replica, current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
       current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS standbys`,
  )
  if (settings === undefined) throw refused('PostgreSQL tells nothing of its settings.')
  const { version, encoding, replica, fsync, pages, commit, standbys } = settings
  if (version < 120_000) throw refused('PostgreSQL 12 or newer is needed.')
  if (encoding !== 'UTF8') throw refused(`The database must be encoded in UTF8, not ${encoding}.`)
  if (replica) throw refused('This PostgreSQL is a standby, not the primary: nothing can be written to it.')
  const processKill = commit !== 'off'
  const powerCut = processKill && fsync === 'on' && pages === 'on'
  if (!powerCut && options.allowVolatile !== true) {
    throw refused(
      `This PostgreSQL acknowledges what a crash may take back (fsync ${fsync}, full_page_writes ${pages}, ` +
        `synchronous_commit ${commit}): set them to on, or allow it with allowVolatile.`,
    )
  }
  if (!powerCut) logger.warn({ fsync, pages, commit }, 'postgres acknowledges before its disk has the data')
  return {
    processKill,
    powerCut,
    failover: powerCut && standbys !== '' && (commit === 'on' || commit === 'remote_apply'),
  }
}

function refused(message: string): PolyphonyError {
  return new PolyphonyError('store-failed', message)
}

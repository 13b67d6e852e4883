import type { Clock, Logger, Random } from '@polyphony/core'
import type { RetentionPolicy } from '@polyphony/storage'

/** How to reach PostgreSQL, for the store and the bus. */
export interface PostgresConnectionOptions {
  /** The schema that holds the tables, and names the channels. Default `polyphony`. Created if it is not there. */
  readonly schema?: string | undefined
  /** Connections of the pool; one more is kept for notifications. Default 8 for the store, 2 for the bus. */
  readonly connectionsMax?: number | undefined
  /**
   * Where notifications are listened for, when `address` leads to a pooler that hands out a connection per transaction
   * (PgBouncer): LISTEN needs one of its own. Default: `?listen=HOST:PORT` of the address, else the same address.
   */
  readonly listenAddress?: string | undefined
  /** Certificates (PEM) of who may vouch for the server; given, it is reached by TLS only. Or `sslmode` and `sslrootcert` in the address. */
  readonly ca?: string | undefined
  /** How long to wait for a connection, be it a new one or one of the pool. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined
  /** How long a statement may take. The server gives up at this time, the client a second later. Default 10,000. */
  readonly statementTimeoutMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  readonly logger?: Logger | undefined
}

export interface PostgresStoreOptions extends PostgresConnectionOptions {
  /** Accepts a server that acknowledges what a crash may take back (`fsync` or `synchronous_commit` off). Default false. */
  readonly allowVolatile?: boolean | undefined
  /** Default: see `defaultRetention`. */
  readonly retention?: RetentionPolicy | undefined
  /** How often subscriptions look by themselves, in case a notification was lost. Default 5,000. */
  readonly pollMs?: number | undefined
}

const schemaPattern = /^[a-z_][a-z0-9_]{0,39}$/

/** Checks a schema name; throws `TypeError`. */
export function parseSchema(schema: string): string {
  if (schemaPattern.test(schema)) return schema
  throw new TypeError(`A schema has 1 to 40 of a-z, 0-9 and _, and begins with no digit: "${schema}"`)
}

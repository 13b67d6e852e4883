import { PolyphonyError, silentLogger } from '@polyphony/core'
import { DatabaseError, Pool, type ClientConfig, type QueryResultRow } from 'pg'
import type { PostgresConnectionOptions } from './postgres-options.ts'

/** A statement with a name under which each connection keeps its plan. */
export interface Statement {
  readonly name: string
  readonly text: string
}

/** A pool of connections to one database. Every method rejects with `store-failed`. */
export class PostgresDatabase {
  readonly #pool: Pool

  private constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Connects once, to see that it can be reached. */
  static async open(
    address: string,
    options: PostgresConnectionOptions,
    connectionsMax: number,
  ): Promise<PostgresDatabase> {
    const { statementTimeoutMs = 10_000, connectTimeoutMs = 5_000, logger = silentLogger } = options
    const pool = new Pool({
      ...clientConfig(address, options, 'pool'),
      max: options.connectionsMax ?? connectionsMax,
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + 1_000,
      idle_in_transaction_session_timeout: statementTimeoutMs,
      idleTimeoutMillis: 30_000,
    })
    // Of connections that nobody uses; a statement has its own error.
    pool.on('error', (error) => logger.warn({ error: error.message }, 'postgres connection lost'))
    const database = new PostgresDatabase(pool)
    try {
      await database.query('SELECT 1')
      return database
    } catch (error) {
      await database.close()
      throw error
    }
  }

  /** Runs a statement by itself, in a transaction of its own. Columns of type bytea come as bytes. */
  async query<Row extends QueryResultRow>(
    statement: Statement | string,
    values: readonly unknown[] = [],
  ): Promise<readonly Row[]> {
    const named = typeof statement === 'string' ? { text: statement } : statement
    try {
      const { rows } = await this.#pool.query<Row>({ ...named, values: [...values] })
      return rows
    } catch (cause) {
      throw storeFailed(cause)
    }
  }

  /** Runs several statements, none of which has values, in one transaction on one connection. */
  async transaction(
    task: (run: (text: string) => Promise<readonly QueryResultRow[]>) => Promise<void>,
  ): Promise<void> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw storeFailed(cause)
    })
    try {
      await client.query('BEGIN')
      await task(async (text) => (await client.query(text)).rows as readonly QueryResultRow[])
      await client.query('COMMIT')
      client.release()
    } catch (cause) {
      // The connection goes, and its transaction with it.
      client.release(true)
      throw storeFailed(cause)
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

/** What every connection is opened with. Throws `TypeError` for an address that is none of PostgreSQL. */
export function clientConfig(
  address: string,
  options: PostgresConnectionOptions,
  purpose: string,
): ClientConfig {
  if (!/^postgres(ql)?:\/\//.test(address))
    throw new TypeError('The address of PostgreSQL begins with postgres://')
  return {
    connectionString: address,
    application_name: `polyphony-${purpose}`,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    ...(options.ca === undefined ? {} : { ssl: { ca: options.ca } }),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  }
}

/** Wraps what `pg` and PostgreSQL throw. */
export function storeFailed(cause: unknown): PolyphonyError {
  if (cause instanceof PolyphonyError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new PolyphonyError('store-failed', `PostgreSQL does not answer as it should: ${message}`, { cause })
}

/** The SQLSTATE of an error that the server gave, which means that the statement did nothing. */
export function sqlState(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof DatabaseError ? cause.code : undefined
}

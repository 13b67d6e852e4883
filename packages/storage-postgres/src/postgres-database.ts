import { createHash } from 'node:crypto'
import { PolyphonyError, silentLogger, type Logger } from '@polyphony/core'
import { DatabaseError, Pool, type ClientConfig, type QueryResultRow } from 'pg'
import { parseAddress } from './postgres-address.ts'
import type { PostgresConnectionOptions } from './postgres-options.ts'

/**
 * A statement under whose name and text each connection keeps its plan. The text is part of the key because a pooler may
 * hand a connection from one deployment to another, whose tables lie in another schema.
 */
export interface Statement {
  readonly name: string
  readonly text: string
}

/** A pool of connections to one database. Every method rejects with `store-failed`. */
export class PostgresDatabase {
  readonly #pool: Pool
  readonly #logger: Logger
  readonly #names = new WeakMap<Statement, string>()
  /** Whether connections keep plans. */
  #isNaming = true

  private constructor(pool: Pool, logger: Logger) {
    this.#pool = pool
    this.#logger = logger
  }

  /** Connects once, to see that it can be reached. */
  static async open(
    address: string,
    options: PostgresConnectionOptions,
    connectionsMax: number,
  ): Promise<PostgresDatabase> {
    const { statementTimeoutMs = 10_000, connectTimeoutMs = 5_000, logger = silentLogger } = options
    const pool = new Pool({
      ...clientConfig(parseAddress(address).statements, options, 'pool'),
      max: options.connectionsMax ?? connectionsMax,
      connectionTimeoutMillis: connectTimeoutMs,
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + 1_000,
      idle_in_transaction_session_timeout: statementTimeoutMs,
      idleTimeoutMillis: 30_000,
    })
    // Of connections that nobody uses; a statement has its own error.
    pool.on('error', (error) => logger.warn({ error: error.message }, 'postgres connection lost'))
    const database = new PostgresDatabase(pool, logger)
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
    const name = typeof statement === 'string' || !this.#isNaming ? undefined : this.#nameOf(statement)
    const query = { text: typeof statement === 'string' ? statement : statement.text, values: [...values] }
    try {
      const { rows } = await this.#pool.query<Row>(name === undefined ? query : { ...query, name })
      return rows
    } catch (cause) {
      if (name === undefined || !isPlanMissing(cause)) throw storeFailed(cause)
      // It has not run at all.
      if (this.#isNaming)
        this.#logger.warn({}, 'postgres is behind a pooler that keeps no prepared statements')
      this.#isNaming = false
      return await this.query(statement, values)
    }
  }

  #nameOf(statement: Statement): string {
    const known = this.#names.get(statement)
    if (known !== undefined) return known
    const digest = createHash('sha256').update(statement.text).digest('hex').slice(0, 16)
    const name = `${statement.name}-${digest}`
    this.#names.set(statement, name)
    return name
  }

  /** Runs several statements, none of which has values, in one transaction on one connection. */
  async transaction(
    task: (run: (text: string) => Promise<readonly QueryResultRow[]>) => Promise<void>,
  ): Promise<void> {
    const client = await this.#pool.connect().catch((cause: unknown) => {
      throw storeFailed(cause)
    })
    // A connection that ends between two statements says so here, and would end the process otherwise; the next statement
    // fails by itself.
    const ended = (): void => undefined
    client.on('error', ended)
    try {
      await client.query('BEGIN')
      await task(async (text) => (await client.query(text)).rows as readonly QueryResultRow[])
      await client.query('COMMIT')
      client.release()
    } catch (cause) {
      // The connection goes, and its transaction with it.
      client.release(true)
      throw storeFailed(cause)
    } finally {
      client.off('error', ended)
    }
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }
}

/** What every connection is opened with. */
export function clientConfig(
  address: string,
  options: PostgresConnectionOptions,
  purpose: string,
): ClientConfig {
  return {
    connectionString: address,
    application_name: `polyphony-${purpose}`,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    ...(options.ca === undefined ? {} : { ssl: { ca: options.ca } }),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  }
}

/** The server connection that a pooler has given us knows no statement of this name, or knows it already. */
function isPlanMissing(cause: unknown): boolean {
  return cause instanceof DatabaseError && (cause.code === '26000' || cause.code === '42P05')
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

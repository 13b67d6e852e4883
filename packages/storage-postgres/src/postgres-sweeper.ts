import type { Clock, Logger } from '@polyphony/core'
import type { PendingCalls } from '@polyphony/storage'
import { removeEntries } from './postgres-checkpoints.ts'
import type { PostgresDatabase } from './postgres-database.ts'
import type { PostgresTables } from './postgres-tables.ts'

const intervalMs = 60_000

/**
 * Removes what nobody refers to any more: entries of deleted documents, and checkpoints that were replaced, deleted or
 * never finished. Every node does it; doing it twice is harmless.
 */
export class PostgresSweeper {
  readonly #database: PostgresDatabase
  readonly #tables: PostgresTables
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #pending: PendingCalls
  #cancel: () => void = () => undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: {
    readonly database: PostgresDatabase
    readonly tables: PostgresTables
    readonly clock: Clock
    readonly logger: Logger
    readonly pending: PendingCalls
  }) {
    this.#database = options.database
    this.#tables = options.tables
    this.#clock = options.clock
    this.#logger = options.logger
    this.#pending = options.pending
    this.#schedule()
  }

  /** Sweeps now, unless it is under way. */
  sweep(): void {
    if (this.#closed || this.#running !== undefined) return
    this.#running = this.#sweep().finally(() => {
      this.#running = undefined
    })
    void this.#pending.add(this.#running)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #schedule(): void {
    this.#cancel = this.#clock.after(intervalMs, () => {
      this.sweep()
      if (!this.#closed) this.#schedule()
    })
  }

  async #sweep(): Promise<void> {
    const { states, garbage } = this.#tables
    try {
      await this.#database.query(`DELETE FROM ${states} WHERE expires_at < now()`)
      const rows = await this.#database.query<{ key: string }>(
        `SELECT document::text AS key FROM ${garbage} LIMIT 100`,
      )
      for (const { key } of rows) {
        if (this.#closed) return
        await removeEntries(this.#database, this.#tables, key)
        await this.#database.query(`DELETE FROM ${garbage} WHERE document = $1`, [key])
      }
    } catch (error) {
      this.#logger.warn({ error: String(error) }, 'postgres could not be swept; it is tried again later')
    }
  }
}

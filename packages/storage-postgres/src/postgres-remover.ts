import type { Clock } from '@polyphony/core'
import { refuseHead, tailLost, type HeadCondition, type LogPositions } from '@polyphony/storage'
import { isBroken } from './append-batch.ts'
import { replacedState } from './postgres-checkpoints.ts'
import type { PostgresDatabase, Statement } from './postgres-database.ts'
import type { PostgresTables } from './postgres-tables.ts'

export interface PostgresRemoverOptions {
  readonly database: PostgresDatabase
  readonly tables: PostgresTables
  readonly positions: LogPositions
  readonly clock: Clock
  readonly renew: (documentId: string, incarnation: string) => Promise<void>
}

/** What the document was like when the statement came to it. */
interface Found extends Record<string, unknown> {
  readonly incarnation: string
  readonly revision: number
  readonly deleted_at_ms: number | null
  readonly broken: boolean
  readonly removed: boolean
}

/** Turns documents into tombstones. */
export class PostgresRemover {
  readonly #options: PostgresRemoverOptions
  readonly #statement: Statement

  constructor(options: PostgresRemoverOptions) {
    this.#options = options
    const { documents, entries, states, garbage } = options.tables
    this.#statement = {
      name: 'delete',
      text: `
        WITH i AS (
          SELECT $3::bigint AS expect, $4::text AS wanted, $5::text AS seen_incarnation, $6::bigint AS seen_revision, $7::text AS seen_mark
        ),
        old AS MATERIALIZED (SELECT * FROM ${documents} WHERE id = $1 FOR UPDATE),
        found AS MATERIALIZED (
          SELECT d.*, i.expect, i.wanted, (i.expect IS NOT NULL OR i.wanted IS NOT NULL) AND ${isBroken(entries)} AS broken FROM old d, i
        ),
        gone AS (
          UPDATE ${documents} d SET key = DEFAULT, deleted_at_ms = $2, mark = NULL,
            state = NULL, state_revision = NULL, state_bytes = NULL, state_end = NULL
          FROM found f
          WHERE d.id = f.id AND f.deleted_at_ms IS NULL AND NOT f.broken
            AND (f.expect IS NULL OR f.revision = f.expect) AND (f.wanted IS NULL OR f.incarnation = f.wanted)
          RETURNING f.key, f.state
        ),
        left_over AS (INSERT INTO ${garbage} SELECT key FROM gone),
        demoted AS (UPDATE ${states} SET expires_at = now() + ${replacedState} WHERE id IN (SELECT state FROM gone))
        SELECT incarnation, revision::float8 AS revision, deleted_at_ms::float8 AS deleted_at_ms, broken,
          EXISTS (SELECT FROM gone) AS removed
        FROM found`,
    }
  }

  /** Whether there was something to remove. Rejects when the head does not meet the condition. */
  async remove(documentId: string, condition: HeadCondition): Promise<boolean> {
    const { database, positions, clock, renew } = this.#options
    const { expect, incarnation } = condition
    const seen = positions.find(documentId)
    const [found] = await database.query<Found>(this.#statement, [
      documentId,
      clock.now(),
      expect ?? null,
      incarnation ?? null,
      seen?.incarnation ?? null,
      seen?.revision ?? null,
      seen?.mark ?? null,
    ])
    if (found?.removed === true) return true
    if (found?.broken === true && found.deleted_at_ms === null) {
      await renew(documentId, found.incarnation)
      throw tailLost(documentId, found.incarnation)
    }
    const head = found === undefined ? undefined : { ...found, bytes: 0 }
    const error = refuseHead(documentId, condition, head)
    if (error !== undefined) throw error
    return false
  }
}

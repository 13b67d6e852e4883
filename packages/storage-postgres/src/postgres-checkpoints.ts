import { PolyphonyError, type Clock, type Logger, type Random } from '@polyphony/core'
import {
  encodeCheckpoint,
  encodeChunk,
  rechunk,
  refuseCheckpointAt,
  retentionCut,
  type Checkpoint,
  type RetentionPolicy,
} from '@polyphony/storage'
import type { PostgresDatabase } from './postgres-database.ts'
import { chunkContext, type PostgresReader } from './postgres-reader.ts'
import type { PostgresTables } from './postgres-tables.ts'

export interface PostgresCheckpointsOptions {
  readonly database: PostgresDatabase
  readonly tables: PostgresTables
  readonly reader: PostgresReader
  readonly retention: RetentionPolicy
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** How long the chunks of a checkpoint outlive it, for those who are reading them. */
export const replacedState = "interval '60 seconds'"
/** Chunks that are being written are removed after this long without another one: their writer is gone. */
const stagedState = "interval '10 minutes'"
const trimmedPerStatement = 5_000

interface Committed extends Record<string, unknown> {
  readonly incarnation: string
  readonly revision: number
  readonly deleted_at_ms: number | null
  readonly state_revision: number | null
  readonly kept: boolean
}

/** Writes checkpoints, and removes what they cover. */
export class PostgresCheckpoints {
  readonly #options: PostgresCheckpointsOptions

  constructor(options: PostgresCheckpointsOptions) {
    this.#options = options
  }

  /** As `DocumentStore.checkpoint`. Gives the task of removing covered entries, which never rejects; or nothing to do. */
  async write(documentId: string, checkpoint: Checkpoint): Promise<(() => Promise<void>) | undefined> {
    const { reader, random } = this.#options
    const head = await reader.head(documentId)
    const problem = refuseCheckpointAt(documentId, checkpoint, head)
    if (problem !== undefined) throw problem
    const { revision } = checkpoint
    // An equal one says the same, an older one less.
    if (head === undefined || revision <= (head.checkpoint?.revision ?? 0)) return undefined
    const covered = await reader.entryAt(documentId, revision)
    if (covered === undefined) throw lost(documentId)
    const endOffset = covered.offset + covered.entry.update.length
    const incarnation = checkpoint.incarnation ?? head.incarnation
    const state = random.hex(8)
    const size = await this.#stage(documentId, state, checkpoint.state)
    const record = encodeCheckpoint(
      { revision, endOffset, chunks: { set: state, ...size }, stateVector: checkpoint.stateVector },
      Buffer.from(documentId),
    )
    const kept = await this.#commit(documentId, {
      revision,
      incarnation,
      state,
      endOffset,
      record,
      bytes: size.bytes,
    })
    return kept ? () => this.#trim(documentId, incarnation, { revision, endOffset }) : undefined
  }

  /** Each chunk by itself, so that no other statement waits long for a connection or for the disk. */
  async #stage(
    documentId: string,
    state: string,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly count: number; readonly bytes: number }> {
    const { database, tables } = this.#options
    await database.query(
      `INSERT INTO ${tables.states} (id, expires_at) VALUES ($1, now() + ${stagedState})`,
      [state],
    )
    const put = {
      name: 'put-chunk',
      text: `WITH touched AS (UPDATE ${tables.states} SET expires_at = now() + ${stagedState} WHERE id = $1)
        INSERT INTO ${tables.chunks} (state, number, record) VALUES ($1, $2, $3)`,
    }
    let count = 0
    let bytes = 0
    for await (const chunk of rechunk(chunks)) {
      await database.query(put, [
        state,
        count,
        asBuffer(encodeChunk(chunk, chunkContext(documentId, state, count))),
      ])
      count++
      bytes += chunk.length
    }
    return { count, bytes }
  }

  /** Makes the staged chunks the checkpoint; false if there is a newer one by now. */
  async #commit(
    documentId: string,
    checkpoint: {
      readonly revision: number
      readonly incarnation: string
      readonly state: string
      readonly endOffset: number
      readonly record: Uint8Array
      readonly bytes: number
    },
  ): Promise<boolean> {
    const { database, tables } = this.#options
    const { revision, incarnation, state, endOffset, record, bytes } = checkpoint
    const [row] = await database.query<Committed>(
      {
        name: 'commit-checkpoint',
        text: `
          WITH old AS (SELECT * FROM ${tables.documents} WHERE id = $1 FOR UPDATE),
          staged AS (SELECT id FROM ${tables.states} WHERE id = $4 FOR UPDATE),
          kept AS (
            UPDATE ${tables.documents} d SET state = staged.id, state_revision = $2, state_end = $5, state_bytes = $7
            FROM old, staged
            WHERE d.id = old.id AND old.deleted_at_ms IS NULL AND old.incarnation = $3 AND old.revision >= $2
              AND coalesce(old.state_revision, 0) < $2
            RETURNING old.state AS replaced
          ),
          promoted AS (UPDATE ${tables.states} SET record = $6, expires_at = 'infinity' WHERE id = $4 AND EXISTS (SELECT FROM kept)),
          demoted AS (
            UPDATE ${tables.states} SET expires_at = now() + ${replacedState} WHERE id IN (SELECT replaced FROM kept)
          )
          SELECT incarnation, revision::float8 AS revision, deleted_at_ms::float8 AS deleted_at_ms,
            state_revision::float8 AS state_revision, EXISTS (SELECT FROM kept) AS kept
          FROM old`,
      },
      [documentId, revision, incarnation, state, endOffset, asBuffer(record), bytes],
    )
    if (row?.kept === true) return true
    const deletedAtMs = row?.deleted_at_ms ?? undefined
    const tombstone = deletedAtMs === undefined ? undefined : { deletedAtMs }
    const head =
      row === undefined
        ? undefined
        : { incarnation: row.incarnation, revision: row.revision, bytes: 0, tombstone }
    const problem = refuseCheckpointAt(documentId, { revision, incarnation }, head)
    await database.query(`DELETE FROM ${tables.states} WHERE id = $1`, [state])
    if (problem !== undefined) throw problem
    if ((row?.state_revision ?? 0) >= revision) return false
    throw lost(documentId)
  }

  /** Removes what the checkpoint covers and the retention policy does not keep. */
  async #trim(
    documentId: string,
    incarnation: string,
    covered: { readonly revision: number; readonly endOffset: number },
  ): Promise<void> {
    const { reader, database, tables, retention, clock, logger } = this.#options
    try {
      const head = await reader.head(documentId)
      if (head === undefined || head.incarnation !== incarnation) return
      const range = { first: head.first, last: covered.revision, endOffset: covered.endOffset }
      const cut = await retentionCut(retention, range, clock.now(), async (revision) => {
        const found = await reader.entryAt(documentId, revision)
        if (found === undefined) throw lost(documentId)
        return { committedAtMs: found.entry.meta.committedAtMs, offset: found.offset }
      })
      if (cut < head.first) return
      // Readers are told that the entries are gone before they are.
      const [row] = await database.query<{ key: string }>(
        `UPDATE ${tables.documents} SET first = $3::bigint + 1
         WHERE id = $1 AND incarnation = $2 AND first <= $3 AND state_revision >= $3 RETURNING key::text AS key`,
        [documentId, incarnation, cut],
      )
      if (row !== undefined) await removeEntries(database, tables, row.key, cut)
    } catch (error) {
      // The next checkpoint does it.
      logger.warn({ documentId, error: String(error) }, 'covered entries could not be removed')
    }
  }
}

/** Removes entries up to a revision, in pieces that keep within the statement timeout. */
export async function removeEntries(
  database: PostgresDatabase,
  { entries }: PostgresTables,
  key: string,
  upTo?: number,
): Promise<void> {
  const text = `WITH page AS (
      SELECT revision FROM ${entries} WHERE document = $1 AND ($2::bigint IS NULL OR revision <= $2) ORDER BY revision LIMIT $3
    ), removed AS (
      DELETE FROM ${entries} WHERE document = $1 AND revision <= (SELECT max(revision) FROM page) RETURNING 1
    ) SELECT count(*)::float8 AS count FROM removed`
  for (;;) {
    const [row] = await database.query<{ count: number }>({ name: 'remove-entries', text }, [
      key,
      upTo ?? null,
      trimmedPerStatement,
    ])
    if ((row?.count ?? 0) < trimmedPerStatement) return
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function lost(documentId: string): PolyphonyError {
  return new PolyphonyError('store-failed', `"${documentId}" changed under its checkpoint; make it again.`, {
    documentId,
  })
}

import { isPolyphonyError, PolyphonyError } from '@polyphony/core'
import {
  decodeCheckpoint,
  decodeChunk,
  decodeEntry,
  overtakenRead,
  planRead,
  readAgain,
  type Checkpoint,
  type DocumentInfo,
  type Head,
  type ListQuery,
  type LogEntry,
  type LogPosition,
  type LogPositions,
  type LogTail,
  type ReadRange,
  type TailRequest,
} from '@polyphony/storage'
import { isBroken } from './append-batch.ts'
import type { PostgresDatabase, Statement } from './postgres-database.ts'
import type { PostgresTables } from './postgres-tables.ts'

/** A head with what only the store needs to know. */
export interface StoredHead extends Head {
  /** The oldest entry that is retained. */
  readonly first: number
  readonly checkpoint?: { readonly revision: number; readonly state: string } | undefined
}

const pageEntriesMax = 512
const pageBytesMax = 1 << 20
const chunksPerRead = 4
const listPageLength = 500

interface HeadRow extends Record<string, unknown> {
  readonly id: string
  readonly incarnation: string
  readonly revision: number
  readonly first: number
  readonly bytes: number
  readonly deleted_at_ms: number | null
  readonly state: string | null
  readonly state_revision: number | null
}

interface TailRow extends Record<string, unknown> {
  readonly number: string | number
  readonly incarnation: string
  readonly continues: string | null
  readonly head: number
  readonly first: number
  readonly deleted: boolean
  readonly broken: boolean
  readonly revision: number | null
  readonly mark: string | null
  readonly record: Buffer | null
}

/** Reads documents: heads, logs and checkpoints. */
export class PostgresReader {
  readonly #database: PostgresDatabase
  readonly #positions: LogPositions
  readonly #statements: Readonly<Record<'head' | 'list' | 'tails' | 'entry' | 'state' | 'chunks', Statement>>

  constructor(database: PostgresDatabase, tables: PostgresTables, positions: LogPositions) {
    this.#database = database
    this.#positions = positions
    this.#statements = statementsOf(tables)
  }

  async head(documentId: string): Promise<StoredHead | undefined> {
    const [row] = await this.#database.query<HeadRow>(this.#statements.head, [documentId])
    return row === undefined ? undefined : headOf(row)
  }

  async *list({ prefix = '', after, limit, deleted = false }: ListQuery): AsyncGenerator<DocumentInfo> {
    // PostgreSQL has no text with this character in it.
    if (prefix.includes('\u0000')) return
    let last = after
    for (let left = limit ?? Infinity; left > 0;) {
      const length = Math.min(left, listPageLength)
      const rows = await this.#database.query<HeadRow>(this.#statements.list, [
        prefix,
        last ?? '',
        deleted,
        length,
      ])
      for (const row of rows) {
        const { incarnation, revision, bytes, tombstone } = headOf(row)
        yield {
          documentId: row.id,
          incarnation,
          revision,
          bytes,
          ...(tombstone === undefined ? {} : { tombstone }),
        }
      }
      if (rows.length < length) return
      left -= rows.length
      last = rows.at(-1)?.id
    }
  }

  /** What follows in several logs, from one moment. */
  async tails(requests: readonly TailRequest[]): Promise<readonly (LogTail | PolyphonyError)[]> {
    const seen = requests.map(({ documentId, seen: position }) => this.#withMark(documentId, position))
    const rows = await this.#database.query<TailRow>(this.#statements.tails, [
      requests.map(({ documentId }) => documentId),
      requests.map(({ after }) => after),
      requests.map(({ upTo }) => upTo ?? null),
      seen.map((position) => position?.incarnation ?? null),
      seen.map((position) => position?.revision ?? null),
      seen.map((position) => position?.mark ?? null),
      pageEntriesMax,
      pageBytesMax,
    ])
    const byRequest = new Map<number, TailRow[]>()
    for (const row of rows) {
      const number = Number(row.number)
      const own = byRequest.get(number)
      if (own === undefined) byRequest.set(number, [row])
      else own.push(row)
    }
    return requests.map(({ documentId }, index) => tailOf(documentId, byRequest.get(index + 1) ?? []))
  }

  /** As `DocumentStore.read`. What is overtaken before it has given anything begins again. */
  read(documentId: string, range: ReadRange): AsyncGenerator<Checkpoint | LogEntry> {
    return readAgain(() => this.#readOnce(documentId, range))
  }

  async *#readOnce(documentId: string, range: ReadRange): AsyncGenerator<Checkpoint | LogEntry> {
    const head = await this.head(documentId)
    if (head === undefined || head.tombstone !== undefined) return
    const { incarnation, first, revision, checkpoint } = head
    const plan = planRead(documentId, range, { first, head: revision, checkpoint: checkpoint?.revision })
    if (plan.checkpoint && checkpoint !== undefined)
      yield await this.#readCheckpoint(documentId, incarnation, checkpoint.state)
    for (let after = plan.from - 1; after < plan.to;) {
      const [tail] = await this.tails([{ documentId, after, upTo: plan.to }])
      if (isPolyphonyError(tail)) throw tail
      if (
        tail?.state !== 'open' ||
        tail.incarnation !== incarnation ||
        tail.entries[0]?.revision !== after + 1
      )
        throw overtakenRead(documentId)
      after = tail.entries.at(-1)?.revision ?? after
      this.#positions.note(documentId, { incarnation, revision: after, mark: tail.mark })
      yield* tail.entries
    }
  }

  /** The entry at a revision with the bytes of all updates before it; `undefined` when it is not retained. */
  async entryAt(
    documentId: string,
    revision: number,
  ): Promise<{ entry: LogEntry; offset: number } | undefined> {
    const [row] = await this.#database.query<{ record: Buffer; start_offset: number }>(
      this.#statements.entry,
      [documentId, revision],
    )
    if (row === undefined) return undefined
    return { entry: entryOf(documentId, revision, row.record), offset: row.start_offset }
  }

  async #readCheckpoint(documentId: string, incarnation: string, state: string): Promise<Checkpoint> {
    const [row] = await this.#database.query<{ record: Buffer | null }>(this.#statements.state, [state])
    if (row === undefined || row.record === null) throw overtakenRead(documentId)
    const { revision, stateVector, chunks } = decodeCheckpoint(
      row.record,
      Buffer.from(documentId),
      documentId,
    )
    const load = (from: number) =>
      this.#database.query<{ number: number; record: Buffer }>(this.#statements.chunks, [
        state,
        from,
        chunksPerRead,
      ])
    async function* chunksOfState(): AsyncGenerator<Uint8Array> {
      for (let number = 0; number < chunks.count;) {
        const rows = await load(number)
        if (rows.length === 0) throw overtakenRead(documentId)
        for (const chunk of rows) {
          if (chunk.number !== number) throw overtakenRead(documentId)
          const name = { documentId, what: `checkpoint chunk ${number}` }
          yield decodeChunk(chunk.record, chunkContext(documentId, state, number), name)
          number++
        }
      }
    }
    return { revision, incarnation, stateVector: stateVector.slice(), state: chunksOfState() }
  }

  /** The mark of a place that the reader does not know it of, if somebody else here does. */
  #withMark(documentId: string, seen: LogPosition | undefined): LogPosition | undefined {
    if (seen === undefined || seen.mark !== undefined) return seen
    const known = this.#positions.find(documentId)
    return known?.incarnation === seen.incarnation && known.revision === seen.revision ? known : seen
  }
}

/** Where a chunk's bytes belong, for its checksum. */
export function chunkContext(documentId: string, state: string, number: number): Uint8Array {
  return Buffer.from(`${documentId}\n${state}\n${number}`)
}

function statementsOf({ documents, entries, states, chunks }: PostgresTables) {
  const headColumns = `id, incarnation, revision::float8 AS revision, first::float8 AS first, deleted_at_ms::float8 AS deleted_at_ms,
    (coalesce(state_bytes, 0) + end_offset - coalesce(state_end, 0))::float8 AS bytes, state, state_revision::float8 AS state_revision`
  return {
    head: { name: 'head', text: `SELECT ${headColumns} FROM ${documents} WHERE id = $1` },
    list: {
      name: 'list',
      // The second bound is for the index: whatever begins with the prefix is not below it.
      text: `SELECT ${headColumns} FROM ${documents}
        WHERE starts_with(id, $1::text) AND id >= $1::text AND id > $2::text AND ($3::boolean OR deleted_at_ms IS NULL)
        ORDER BY id LIMIT $4`,
    },
    tails: {
      name: 'tails',
      text: `
        SELECT i.number, d.incarnation, d.continues, d.revision::float8 AS head, d.first::float8 AS first, d.deleted_at_ms IS NOT NULL AS deleted,
          ${isBroken(entries)} AS broken, t.revision::float8 AS revision, t.mark, t.record
        FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[])
          WITH ORDINALITY AS i(id, after, up_to, seen_incarnation, seen_revision, seen_mark, number)
        JOIN ${documents} d ON d.id = i.id
        LEFT JOIN LATERAL (
          SELECT revision, mark, record FROM (
            SELECT revision, mark, record, sum(octet_length(record)) OVER (ORDER BY revision) - octet_length(record) AS before
            FROM (
              SELECT revision, mark, record FROM ${entries} e
              WHERE e.document = d.key AND e.revision > i.after AND e.revision <= coalesce(i.up_to, d.revision)
              ORDER BY revision LIMIT $7
            ) page
          ) measured WHERE before < $8
        ) t ON true
        ORDER BY i.number, t.revision`,
    },
    entry: {
      name: 'entry',
      text: `SELECT e.record, e.start_offset::float8 AS start_offset FROM ${entries} e JOIN ${documents} d ON d.key = e.document
        WHERE d.id = $1 AND e.revision = $2`,
    },
    state: { name: 'state', text: `SELECT record FROM ${states} WHERE id = $1` },
    chunks: {
      name: 'chunks',
      text: `SELECT number, record FROM ${chunks} WHERE state = $1 AND number >= $2 ORDER BY number LIMIT $3`,
    },
  }
}

function headOf(row: HeadRow): StoredHead {
  const {
    incarnation,
    revision,
    first,
    bytes,
    deleted_at_ms: deletedAtMs,
    state,
    state_revision: stateRevision,
  } = row
  if (deletedAtMs !== null) return { incarnation, revision, first, bytes: 0, tombstone: { deletedAtMs } }
  const checkpoint = state === null || stateRevision === null ? undefined : { revision: stateRevision, state }
  return { incarnation, revision, first, bytes, checkpoint }
}

function tailOf(documentId: string, rows: readonly TailRow[]): LogTail | PolyphonyError {
  const [row] = rows
  if (row === undefined) return { state: 'absent' }
  const { incarnation, head, first } = row
  const continues = row.continues ?? undefined
  if (row.deleted) return { state: 'deleted' }
  if (row.broken) return { state: 'broken', incarnation }
  try {
    const entries = rows.flatMap(({ revision, record }) =>
      revision === null || record === null ? [] : [entryOf(documentId, revision, record)],
    )
    return {
      state: 'open',
      incarnation,
      continues,
      revision: head,
      first,
      entries,
      mark: rows.at(-1)?.mark ?? undefined,
    }
  } catch (error) {
    if (isPolyphonyError(error)) return error
    throw error
  }
}

function entryOf(documentId: string, revision: number, record: Buffer): LogEntry {
  const { update, meta } = decodeEntry(record, Buffer.from(documentId), { documentId, revision })
  if (update instanceof Uint8Array) return { revision, update: update.slice(), meta }
  throw new PolyphonyError('store-corrupt', `Entry ${revision} of "${documentId}" refers to chunks.`, {
    documentId,
  })
}

import { PolyphonyError, type Random } from '@polyphony/core'
import {
  refuseAppend,
  refuseAppendAt,
  tailLost,
  type Append,
  type AppendResult,
  type Head,
  type LogFollower,
  type LogPositions,
} from '@polyphony/storage'
import { batchColumns, encodeBatch, isBroken, markValue, recordsValue } from './append-batch.ts'
import type { ChangeFeed } from './change-feed.ts'
import { sqlState, storeFailed, type PostgresDatabase, type Statement } from './postgres-database.ts'
import type { PostgresTables } from './postgres-tables.ts'

export interface PostgresAppenderOptions {
  readonly database: PostgresDatabase
  readonly tables: PostgresTables
  readonly positions: LogPositions
  readonly follower: LogFollower
  readonly changes: ChangeFeed
  readonly random: Random
  readonly renew: (documentId: string, incarnation: string) => Promise<void>
}

/** Appends larger than this have a transaction each: the others would wait for their bytes, and for their locks. */
const smallBytesMax = 256 << 10
const attemptsMax = 8

/** A document of a batch that was written. */
interface Written extends Record<string, unknown> {
  readonly number: string | number
  readonly incarnation: string
  readonly base: number
}

/** A document that was not, and what it is like now. */
interface Found extends Record<string, unknown> {
  readonly id: string
  readonly incarnation: string
  readonly continues: string | null
  readonly revision: number
  readonly deleted_at_ms: number | null
  readonly broken: boolean
}

/**
 * Carries out batches of appends. What exists and fits is written by one statement in one round trip: it locks the
 * documents in the order of their ids, so that batches never wait for each other in a circle, moves their heads, and
 * inserts the entries. What is left over is looked at, created, refused or tried again.
 */
export class PostgresAppender {
  readonly #options: PostgresAppenderOptions
  readonly #appendStatement: Statement
  readonly #createStatement: Statement
  readonly #lookStatement: Statement
  /** The last append of each document that has one under way. */
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(options: PostgresAppenderOptions) {
    this.#options = options
    const { documents, entries } = options.tables
    const insert = `
      INSERT INTO ${entries} (document, revision, start_offset, mark, record)
      SELECT w.key, w.base + n.entry_number, w.base_offset + n.start, ${markValue}, substring(${recordsValue} FROM n.entry_at FOR n.length)
      FROM written w JOIN new_entries n ON n.document_number = w.number`
    const result = 'SELECT number, incarnation, base::float8 AS base FROM written'
    this.#appendStatement = {
      name: 'append',
      text: `
        WITH ${batchColumns},
        locked AS MATERIALIZED (
          SELECT d.id FROM ${documents} d JOIN input i ON i.id = d.id ORDER BY d.id FOR UPDATE OF d
        ),
        written AS (
          UPDATE ${documents} d SET revision = d.revision + i.count, end_offset = d.end_offset + i.bytes, mark = ${markValue}
          FROM locked l JOIN input i ON i.id = l.id
          WHERE d.id = l.id AND d.deleted_at_ms IS NULL
            AND (i.expect IS NULL OR d.revision = i.expect)
            AND (i.wanted IS NULL OR d.incarnation = i.wanted)
            AND NOT ${isBroken(entries)}
          RETURNING i.number, d.key, d.incarnation, d.revision - i.count AS base, d.end_offset - i.bytes AS base_offset
        ),
        inserted AS (${insert})
        ${result}`,
    }
    this.#createStatement = {
      name: 'create-and-append',
      text: `
        WITH ${batchColumns},
        created AS (
          INSERT INTO ${documents} (id, incarnation, revision, end_offset, mark)
          SELECT id, fresh, count, bytes, ${markValue} FROM input ORDER BY id
          ON CONFLICT (id) DO NOTHING
          RETURNING id, key, incarnation
        ),
        written AS (
          SELECT i.number, c.key, c.incarnation, 0::bigint AS base, 0::bigint AS base_offset FROM created c JOIN input i ON i.id = c.id
        ),
        inserted AS (${insert})
        ${result}`,
    }
    this.#lookStatement = {
      name: 'look',
      text: `
        SELECT d.id, d.incarnation, d.continues, d.revision::float8 AS revision, d.deleted_at_ms::float8 AS deleted_at_ms, ${isBroken(entries)} AS broken
        FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS i(id, seen_incarnation, seen_revision, seen_mark)
        JOIN ${documents} d ON d.id = i.id`,
    }
  }

  /** One result per document, in order. */
  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    const results = new Map<Append, AppendResult>()
    const small: Append[] = []
    const parts: Append[][] = [small]
    for (const append of batch) {
      const error = refuseAppend(append)
      if (error !== undefined) results.set(append, { ok: false, error })
      else if (sizeOf(append) <= smallBytesMax) small.push(append)
      else parts.push([append])
    }
    await Promise.all(parts.map((part) => this.#inOrder(part, () => this.#append(part, results))))
    return batch.map((append) => results.get(append) ?? failed(append.documentId, 'it has no result'))
  }

  /**
   * Appends to one document go one after another, as they were asked for: on connections of their own they would only
   * wait for each other's locks, and in any order.
   */
  async #inOrder(appends: readonly Append[], task: () => Promise<void>): Promise<void> {
    const before = appends.flatMap(({ documentId }) => this.#underWay.get(documentId) ?? [])
    const done = Promise.allSettled(before).then(task)
    for (const { documentId } of appends) this.#underWay.set(documentId, done)
    try {
      await done
    } finally {
      for (const { documentId } of appends)
        if (this.#underWay.get(documentId) === done) this.#underWay.delete(documentId)
    }
  }

  async #append(appends: readonly Append[], results: Map<Append, AppendResult>): Promise<void> {
    let left = appends
    for (let attempt = 0; left.length > 0; attempt++) {
      const round = left
      try {
        await this.#write(this.#appendStatement, round, results)
        left = round.filter((append) => !results.has(append))
        if (left.length === 0) return
        await this.#create(await this.#look(left, results), results)
        left = left.filter((append) => !results.has(append))
      } catch (cause) {
        left = await this.#recover(left, storeFailed(cause), results)
      }
      if (attempt < attemptsMax) continue
      for (const append of left) results.set(append, failed(append.documentId, 'it changes too often'))
      return
    }
  }

  /** What of the round is to be tried again; the rest has its result. */
  async #recover(
    left: readonly Append[],
    error: PolyphonyError,
    results: Map<Append, AppendResult>,
  ): Promise<readonly Append[]> {
    const state = sqlState(error) ?? ''
    // A deadlock or a conflict of transactions: nothing was written, and trying again helps.
    if (state.startsWith('40')) return left
    // Something about the values: it is the fault of one document, and must not hit the others.
    if (/^(22|23|54)/.test(state) && left.length > 1) {
      await Promise.all(left.map((append) => this.#append([append], results)))
      return []
    }
    for (const append of left) {
      const { documentId } = append
      // It may have been written all the same.
      this.#options.follower.wake(documentId)
      const { message, cause } = error
      if (!results.has(append))
        results.set(append, {
          ok: false,
          error: new PolyphonyError('store-failed', message, { documentId, cause }),
        })
    }
    return []
  }

  async #write(
    statement: Statement,
    appends: readonly Append[],
    results: Map<Append, AppendResult>,
  ): Promise<void> {
    const { database, positions, random, changes } = this.#options
    const mark = random.hex(8)
    const { values } = encodeBatch(
      appends,
      mark,
      (documentId) => positions.find(documentId),
      () => random.hex(8),
    )
    const written = await database.query<Written>(statement, values)
    for (const { number, incarnation, base } of written) {
      const append = appends[Number(number) - 1]
      if (append === undefined) continue
      const { documentId, entries } = append
      const last = base + entries.length
      positions.note(documentId, { incarnation, revision: last, mark })
      this.#offer(append, incarnation, mark, base)
      changes.announce(documentId, { incarnation, revision: last })
      results.set(append, { ok: true, first: base + 1, last, incarnation })
    }
  }

  #offer({ documentId, entries }: Append, incarnation: string, mark: string, base: number): void {
    const { follower } = this.#options
    if (!follower.isFollowed(documentId)) return
    const copies = entries.map(({ update, meta }, index) => ({
      revision: base + index + 1,
      update: update.slice(),
      meta,
    }))
    follower.offer(documentId, { incarnation, mark, entries: copies })
  }

  /** Settles those that are refused; gives those that do not exist and may. */
  async #look(appends: readonly Append[], results: Map<Append, AppendResult>): Promise<readonly Append[]> {
    const { database, positions, renew } = this.#options
    const seen = appends.map(({ documentId }) => positions.find(documentId))
    const rows = await database.query<Found>(this.#lookStatement, [
      appends.map(({ documentId }) => documentId),
      seen.map((position) => position?.incarnation ?? null),
      seen.map((position) => position?.revision ?? null),
      seen.map((position) => position?.mark ?? null),
    ])
    const found = new Map(rows.map((row) => [row.id, row]))
    const absent: Append[] = []
    for (const append of appends) {
      const { documentId, incarnation } = append
      const row = found.get(documentId)
      if (row?.broken === true && row.deleted_at_ms === null) {
        await renew(documentId, row.incarnation)
        // Otherwise it is tried again, and written under the new incarnation.
        if (incarnation !== undefined)
          results.set(append, { ok: false, error: tailLost(documentId, incarnation) })
        continue
      }
      const error =
        incarnation !== undefined && incarnation === row?.continues
          ? tailLost(documentId, incarnation)
          : refuseAppendAt(append, row === undefined ? undefined : headOf(row))
      if (error !== undefined) results.set(append, { ok: false, error })
      else if (row === undefined) absent.push(append)
    }
    return absent
  }

  async #create(appends: readonly Append[], results: Map<Append, AppendResult>): Promise<void> {
    if (appends.length > 0) await this.#write(this.#createStatement, appends, results)
  }
}

function headOf({ incarnation, revision, deleted_at_ms: deletedAtMs }: Found): Head {
  return { incarnation, revision, bytes: 0, ...(deletedAtMs === null ? {} : { tombstone: { deletedAtMs } }) }
}

function sizeOf({ entries }: Append): number {
  return entries.reduce((sum, { update }) => sum + update.length, 0)
}

function failed(documentId: string, why: string): AppendResult {
  return {
    ok: false,
    error: new PolyphonyError('store-failed', `The append to "${documentId}" failed: ${why}.`, {
      documentId,
    }),
  }
}

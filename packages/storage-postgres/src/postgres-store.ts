import { parseDocumentId, silentLogger, systemClock, systemRandom, type Random } from '@polyphony/core'
import {
  assertBatch,
  assertCheckpoint,
  assertCondition,
  closedError,
  defaultRetention,
  documentExists,
  LogFollower,
  LogPositions,
  PendingCalls,
  type Append,
  type AppendResult,
  type Checkpoint,
  type DocumentInfo,
  type DocumentStore,
  type Head,
  type HeadCondition,
  type ListQuery,
  type LogEntry,
  type LogListener,
  type ReadRange,
  type Revision,
  type StoreCapabilities,
  type SubscribeOptions,
  type Unsubscribe,
} from '@polyphony/storage'
import { ChangeFeed } from './change-feed.ts'
import { PostgresAppender } from './postgres-appender.ts'
import { PostgresCheckpoints } from './postgres-checkpoints.ts'
import { PostgresDatabase } from './postgres-database.ts'
import { PostgresListener } from './postgres-listener.ts'
import { PostgresNotifier } from './postgres-notifier.ts'
import { parseSchema, type PostgresStoreOptions } from './postgres-options.ts'
import { PostgresReader } from './postgres-reader.ts'
import { PostgresRemover } from './postgres-remover.ts'
import { checkServer } from './postgres-server-check.ts'
import { PostgresSweeper } from './postgres-sweeper.ts'
import { migrate, tablesOf, type PostgresTables } from './postgres-tables.ts'

/**
 * Opens a store on the PostgreSQL at `postgres://`, and brings its tables up to date. Rejects with `store-failed` when it
 * cannot be reached, is a standby, or may take back what it acknowledged (see `PostgresStoreOptions.allowVolatile`); with
 * `TypeError` for an address or a schema that is none.
 */
export async function openPostgresStore(
  address: string,
  options: PostgresStoreOptions = {},
): Promise<PostgresStore> {
  const { logger = silentLogger } = options
  const tables = tablesOf(parseSchema(options.schema ?? 'polyphony'))
  const database = await PostgresDatabase.open(address, options, 8)
  try {
    const survives = await checkServer(database, options, logger)
    await migrate(database, tables)
    let wakeAll = (): void => undefined
    const listener = await PostgresListener.open(address, options, {
      onGap: () => wakeAll(),
      notify: (channel, payload) => database.query('SELECT pg_notify($1, $2)', [channel, payload]),
    })
    const store = new PostgresStore({ database, listener, tables, survives }, options)
    wakeAll = () => store.wakeAll()
    return store
  } catch (error) {
    await database.close()
    throw error
  }
}

interface Parts {
  readonly database: PostgresDatabase
  readonly listener: PostgresListener
  readonly tables: PostgresTables
  readonly survives: StoreCapabilities['survives']
}

/** A `DocumentStore` on PostgreSQL. See docs/postgres.md for what it survives. */
export class PostgresStore implements DocumentStore {
  readonly capabilities: StoreCapabilities
  readonly #database: PostgresDatabase
  readonly #listener: PostgresListener
  readonly #tables: PostgresTables
  readonly #random: Random
  readonly #positions = new LogPositions()
  readonly #pending = new PendingCalls()
  readonly #reader: PostgresReader
  readonly #appender: PostgresAppender
  readonly #checkpoints: PostgresCheckpoints
  readonly #remover: PostgresRemover
  readonly #sweeper: PostgresSweeper
  readonly #notifier: PostgresNotifier
  readonly #changes: ChangeFeed
  readonly #follower: LogFollower
  #listening: Promise<unknown> | undefined
  #closing: Promise<void> | undefined

  /** Use `openPostgresStore`. */
  constructor({ database, listener, tables, survives }: Parts, options: PostgresStoreOptions) {
    const { clock = systemClock, random = systemRandom, logger = silentLogger } = options
    this.capabilities = { name: 'postgres', survives, shared: true }
    this.#database = database
    this.#listener = listener
    this.#tables = tables
    this.#random = random
    const reader = new PostgresReader(database, tables, this.#positions)
    this.#reader = reader
    this.#notifier = new PostgresNotifier(database, options)
    this.#changes = new ChangeFeed(tables.schema, this.#notifier)
    const renew = (documentId: string, incarnation: string): Promise<void> =>
      this.#renew(documentId, incarnation)
    this.#follower = new LogFollower({
      source: { readTails: (requests) => reader.tails(requests), renew },
      clock,
      random,
      logger,
      pollMs: options.pollMs ?? 5_000,
      onSeen: (documentId, position) => this.#positions.note(documentId, position),
    })
    const shared = { database, tables, reader, clock, random, logger }
    this.#appender = new PostgresAppender({
      ...shared,
      positions: this.#positions,
      follower: this.#follower,
      changes: this.#changes,
      renew,
    })
    this.#checkpoints = new PostgresCheckpoints({
      ...shared,
      retention: options.retention ?? defaultRetention,
    })
    this.#remover = new PostgresRemover({ ...shared, positions: this.#positions, renew })
    this.#sweeper = new PostgresSweeper({ ...shared, pending: this.#pending })
    this.#sweeper.sweep()
  }

  append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    return this.#call(async () => {
      assertBatch(batch)
      return batch.length === 0 ? [] : this.#appender.append(batch)
    })
  }

  async *read(documentId: string, range: ReadRange = {}): AsyncGenerator<Checkpoint | LogEntry> {
    yield* this.#whileOpen(this.#reader.read(parseDocumentId(documentId), range))
  }

  checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    return this.#call(async () => {
      assertCheckpoint(checkpoint)
      const trim = await this.#checkpoints.write(parseDocumentId(documentId), checkpoint)
      if (trim !== undefined) void this.#pending.add(trim())
    })
  }

  head(documentId: string): Promise<Head | undefined> {
    return this.#call(async () => {
      const head = await this.#reader.head(parseDocumentId(documentId))
      if (head === undefined) return undefined
      const { incarnation, revision, bytes, tombstone } = head
      return { incarnation, revision, bytes, ...(tombstone === undefined ? {} : { tombstone }) }
    })
  }

  async *list(query: ListQuery = {}): AsyncGenerator<DocumentInfo> {
    yield* this.#whileOpen(this.#reader.list(query))
  }

  create(documentId: string): Promise<Head> {
    return this.#call(async () => {
      const incarnation = this.#random.hex(8)
      const rows = await this.#database.query(
        `INSERT INTO ${this.#tables.documents} AS d (id, incarnation) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, continues = NULL, revision = 0, first = 1, end_offset = 0, mark = NULL,
           deleted_at_ms = NULL
         WHERE d.deleted_at_ms IS NOT NULL RETURNING d.id`,
        [parseDocumentId(documentId), incarnation],
      )
      if (rows.length === 0) throw documentExists(documentId)
      this.#changed(documentId)
      return { incarnation, revision: 0, bytes: 0 }
    })
  }

  delete(documentId: string, condition: HeadCondition = {}): Promise<void> {
    return this.#call(async () => {
      assertCondition(condition)
      if (!(await this.#remover.remove(parseDocumentId(documentId), condition))) return
      this.#changed(documentId)
      this.#sweeper.sweep()
    })
  }

  subscribe(
    documentId: string,
    after: Revision,
    listener: LogListener,
    options: SubscribeOptions = {},
  ): Promise<Unsubscribe> {
    return this.#call(async () => {
      parseDocumentId(documentId)
      this.#listening ??= this.#listener.listen(this.#changes.channel, (payload) =>
        ChangeFeed.parse(payload, (changed, at) => this.#follower.wake(changed, at)),
      )
      await this.#listening
      return this.#follower.subscribe(documentId, after, listener, options)
    })
  }

  /** Every subscription looks for itself: notifications were missed. */
  wakeAll(): void {
    this.#follower.wakeAll()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#follower.close(closedError('postgres'))
    this.#sweeper.close()
    await this.#pending.settled()
    await this.#notifier.settled()
    await this.#listener.close()
    await this.#database.close()
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError('postgres')
  }

  async #call<Result>(task: () => Promise<Result>): Promise<Result> {
    this.#assertOpen()
    return this.#pending.add(task())
  }

  async *#whileOpen<Item>(items: AsyncGenerator<Item>): AsyncGenerator<Item> {
    this.#assertOpen()
    for await (const item of items) {
      this.#assertOpen()
      yield item
    }
  }

  /**
   * Begins a new incarnation of a document with what is there. To be done for each document after a backup was put back,
   * before anything is written: revisions would be given out a second time, with other content. A no-op for a document
   * that is deleted, or never was.
   */
  renew(documentId: string): Promise<void> {
    return this.#call(async () => {
      const head = await this.#reader.head(parseDocumentId(documentId))
      if (head !== undefined) await this.#renew(documentId, head.incarnation)
    })
  }

  async #renew(documentId: string, incarnation: string): Promise<void> {
    await this.#database.query(
      `UPDATE ${this.#tables.documents} SET incarnation = $3, continues = $2 WHERE id = $1 AND incarnation = $2 AND deleted_at_ms IS NULL`,
      [documentId, incarnation, this.#random.hex(8)],
    )
    this.#positions.forget(documentId)
    this.#changed(documentId)
  }

  /** Something else than an append: every follower looks. */
  #changed(documentId: string): void {
    this.#follower.wake(documentId)
    this.#changes.announce(documentId)
  }
}

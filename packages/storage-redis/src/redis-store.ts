import {
  isPolyphonyError,
  parseDocumentId,
  silentLogger,
  systemClock,
  systemRandom,
  type Clock,
  type Logger,
  type Random,
} from '@polyphony/core'
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
  refuseHead,
  tailLost,
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
import { RedisAppender } from './redis-appender.ts'
import { RedisCheckpoints } from './redis-checkpoints.ts'
import { replacedChunksMs } from './redis-chunks.ts'
import { RedisConnector, refused, runScript, type RedisClient, type ScriptCall } from './redis-connection.ts'
import { RedisIndex } from './redis-index.ts'
import { RedisKeys } from './redis-keys.ts'
import type { RedisStoreOptions } from './redis-options.ts'
import { RedisReader, seenArguments } from './redis-reader.ts'
import { describedHead, parts, storeFailed, text } from './redis-reply.ts'
import { createScript, deleteScript, renewScript } from './redis-scripts.ts'
import { checkServers } from './redis-server-check.ts'
import { RedisWakeups } from './redis-wakeups.ts'

/**
 * Opens a store on the Redis or Valkey at `redis://` or `rediss://`: a server, a primary behind Sentinels, or a cluster.
 * Rejects with `store-failed` when it cannot be reached or could drop documents (see `RedisStoreOptions.allowVolatile`),
 * with `TypeError` for an address that is none.
 */
export async function openRedisStore(address: string, options: RedisStoreOptions = {}): Promise<RedisStore> {
  const { commandTimeoutMs = 10_000, waitReplicas } = options
  // Waiting for replicas is not the server being slow.
  const timeouts = { commandTimeoutMs: commandTimeoutMs + (waitReplicas?.timeoutMs ?? 0) }
  const connector = await RedisConnector.probe(address, { ...options, ...timeouts })
  const opened: RedisClient[] = []
  const open = async (...parameters: Parameters<RedisConnector['open']>): Promise<RedisClient> => {
    const client = await connector.open(...parameters)
    opened.push(client)
    return client
  }
  try {
    const clients = {
      // Appends wait for nothing else, and are never sent twice behind the caller's back.
      appends: await open('appends', 'fail'),
      bulk: await open('bulk', 'repeat'),
      subscriber: await open('subscriber', 'fail'),
    }
    const survives = await checkServers(clients.bulk, options, options.logger ?? silentLogger)
    return new RedisStore(clients, survives, options)
  } catch (error) {
    for (const client of opened) client.disconnect()
    throw isPolyphonyError(error) || error instanceof TypeError ? error : storeFailed(error)
  }
}

const recheckMs = 1_000

interface Clients {
  readonly appends: RedisClient
  readonly bulk: RedisClient
  readonly subscriber: RedisClient
}

/** A `DocumentStore` on Redis. See docs/redis.md for what it survives. */
export class RedisStore implements DocumentStore {
  readonly capabilities: StoreCapabilities
  readonly #clients: Clients
  readonly #keys: RedisKeys
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #positions = new LogPositions()
  readonly #pending = new PendingCalls()
  readonly #reader: RedisReader
  readonly #appender: RedisAppender
  readonly #checkpoints: RedisCheckpoints
  readonly #index: RedisIndex
  readonly #wakeups: RedisWakeups
  readonly #follower: LogFollower
  #closing: Promise<void> | undefined

  /** Use `openRedisStore`. */
  constructor(clients: Clients, survives: StoreCapabilities['survives'], options: RedisStoreOptions) {
    this.capabilities = { name: 'redis', survives, shared: true }
    this.#clients = clients
    this.#keys = new RedisKeys(options.prefix ?? 'polyphony')
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = options.logger ?? silentLogger
    this.#reader = new RedisReader(clients.bulk, this.#keys, this.#positions)
    this.#index = new RedisIndex(this.#keys, this.#reader)
    this.#follower = new LogFollower({
      source: {
        readTails: (requests) => this.#reader.tails(requests),
        renew: (documentId, incarnation) => this.#renew(documentId, incarnation),
      },
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
      pollMs: options.pollMs ?? 5_000,
      onSeen: (documentId, position) => this.#positions.note(documentId, position),
    })
    this.#appender = new RedisAppender({
      clients,
      keys: this.#keys,
      index: this.#index,
      positions: this.#positions,
      follower: this.#follower,
      random: this.#random,
      waitReplicas: options.waitReplicas,
      renew: (documentId, incarnation) => this.#renew(documentId, incarnation),
    })
    this.#checkpoints = new RedisCheckpoints({
      client: clients.bulk,
      keys: this.#keys,
      reader: this.#reader,
      retention: options.retention ?? defaultRetention,
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger,
    })
    this.#wakeups = new RedisWakeups(clients.subscriber, this.#logger, () => this.#follower.wakeAll())
    clients.appends.on('ready', () => this.#index.forget())
    clients.bulk.on('ready', () => void this.#recheck(options))
  }

  append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    return this.#call(async () => {
      assertBatch(batch)
      return batch.length === 0 ? [] : this.#appender.append(batch)
    })
  }

  async *read(documentId: string, range: ReadRange = {}): AsyncGenerator<Checkpoint | LogEntry> {
    this.#assertOpen()
    for await (const item of this.#reader.read(parseDocumentId(documentId), range)) {
      this.#assertOpen()
      yield item
    }
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
    this.#assertOpen()
    for await (const info of this.#index.list(this.#clients.bulk, query)) {
      this.#assertOpen()
      yield info
    }
  }

  create(documentId: string): Promise<Head> {
    return this.#call(async () => {
      const { head, log, channel } = this.#keys.document(parseDocumentId(documentId))
      const incarnation = this.#random.hex(8)
      await this.#index.add(this.#clients.appends, [documentId])
      const reply = await this.#reply(documentId, {
        script: createScript,
        keys: [head, log],
        args: [incarnation, channel],
      })
      if (text(reply[0]) === 'exists') throw documentExists(documentId)
      return { incarnation, revision: 0, bytes: 0 }
    })
  }

  delete(documentId: string, condition: HeadCondition = {}): Promise<void> {
    return this.#call(async () => {
      assertCondition(condition)
      const { head, log, larges, channel, statePrefix, largePrefix } = this.#keys.document(
        parseDocumentId(documentId),
      )
      const { expect, incarnation } = condition
      const reply = await this.#reply(documentId, {
        script: deleteScript,
        keys: [head, log, larges],
        args: [
          incarnation ?? '',
          expect === undefined ? '' : String(expect),
          String(this.#clock.now()),
          channel,
          statePrefix,
          String(replacedChunksMs),
          ...seenArguments(this.#positions.find(documentId)),
          largePrefix,
        ],
      })
      const status = text(reply[0])
      if (status === 'broken') {
        const broken = text(reply[1])
        await this.#renew(documentId, broken)
        throw tailLost(documentId, broken)
      }
      if (status !== 'refused') return
      throw (
        refuseHead(documentId, condition, describedHead(reply)) ??
        refused(`Redis refused to delete "${documentId}".`)
      )
    })
  }

  subscribe(
    documentId: string,
    after: Revision,
    listener: LogListener,
    options: SubscribeOptions = {},
  ): Promise<Unsubscribe> {
    return this.#call(async () => {
      const { channel } = this.#keys.document(parseDocumentId(documentId))
      const leave = await this.#wakeups
        .listen(channel, (message) => this.#appender.hear(documentId, message.toString()))
        .catch((cause: unknown) => {
          throw storeFailed(cause, documentId)
        })
      try {
        const unsubscribe = await this.#follower.subscribe(documentId, after, listener, options)
        return async () => {
          await unsubscribe()
          await leave()
        }
      } catch (error) {
        await leave()
        throw error
      }
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#follower.close(closedError('redis'))
    await this.#pending.settled()
    this.#wakeups.close()
    this.#clients.appends.disconnect()
    this.#clients.bulk.disconnect()
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedError('redis')
  }

  async #call<Result>(task: () => Promise<Result>): Promise<Result> {
    this.#assertOpen()
    return this.#pending.add(task())
  }

  async #reply(documentId: string, call: ScriptCall): Promise<readonly unknown[]> {
    try {
      return parts(await runScript(this.#clients.appends, call))
    } catch (cause) {
      throw storeFailed(cause, documentId)
    }
  }

  /**
   * Begins a new incarnation of a document with what is there. To be done for each document after a backup was put back,
   * before anything is written: revisions would be given out a second time, with other content. A no-op for a document
   * that is deleted, or never was.
   */
  async renew(documentId: string): Promise<void> {
    const head = await this.head(documentId)
    if (head !== undefined) await this.#call(() => this.#renew(documentId, head.incarnation))
  }

  async #renew(documentId: string, incarnation: string): Promise<void> {
    const { head, channel } = this.#keys.document(documentId)
    await this.#reply(documentId, {
      script: renewScript,
      keys: [head],
      args: [incarnation, this.#random.hex(8), channel],
    })
    this.#positions.forget(documentId)
  }

  /** After a reconnect: what answers now may be another server, with other promises. */
  async #recheck(options: RedisStoreOptions): Promise<void> {
    try {
      await checkServers(this.#clients.bulk, options, this.#logger)
      this.#appender.refuse(undefined)
    } catch (error) {
      if (this.#closing !== undefined) return
      if (isPolyphonyError(error)) {
        this.#logger.error({ error: error.message }, 'redis came back as a server that cannot be used')
        this.#appender.refuse(error)
        return
      }
      // It has not said anything yet. A new connection asks again by itself; this one may go on without one.
      this.#logger.warn({ error: String(error) }, 'redis did not tell its settings; it is asked again')
      this.#clock.after(recheckMs, () => void this.#recheck(options))
    }
  }
}

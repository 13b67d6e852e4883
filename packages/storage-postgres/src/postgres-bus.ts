import { createHash } from 'node:crypto'
import { silentLogger, systemRandom, type Random } from '@polyphony/core'
import { closedError, type Bus, type Unsubscribe } from '@polyphony/storage'
import { MessageParts } from './message-parts.ts'
import { PostgresDatabase } from './postgres-database.ts'
import { PostgresListener } from './postgres-listener.ts'
import { PostgresNotifier } from './postgres-notifier.ts'
import { parseSchema, type PostgresConnectionOptions } from './postgres-options.ts'

/** Opens a bus over LISTEN and NOTIFY. Rejects with `store-failed` when PostgreSQL cannot be reached. */
export async function openPostgresBus(
  address: string,
  options: PostgresConnectionOptions = {},
): Promise<PostgresBus> {
  parseSchema(options.schema ?? 'polyphony')
  const database = await PostgresDatabase.open(address, options, 2)
  try {
    const parts = new MessageParts()
    const listener = await PostgresListener.open(address, options, {
      onGap: () => parts.clear(),
      notify: (channel, payload) => database.query('SELECT pg_notify($1, $2)', [channel, payload]),
    })
    return new PostgresBus({ database, listener, parts }, options)
  } catch (error) {
    await database.close()
    throw error
  }
}

interface Parts {
  readonly database: PostgresDatabase
  readonly listener: PostgresListener
  readonly parts: MessageParts
}

/**
 * A `Bus` on PostgreSQL. A message that does not fit into one notification travels in several. While PostgreSQL is away,
 * messages are lost; subscriptions come back with it.
 */
export class PostgresBus implements Bus {
  readonly #database: PostgresDatabase
  readonly #listener: PostgresListener
  readonly #notifier: PostgresNotifier
  readonly #parts: MessageParts
  readonly #random: Random
  readonly #schema: string
  readonly #topics = new Map<string, Topic>()
  #closing: Promise<void> | undefined

  /** Use `openPostgresBus`. */
  constructor({ database, listener, parts }: Parts, options: PostgresConnectionOptions) {
    this.#database = database
    this.#listener = listener
    this.#parts = parts
    this.#notifier = new PostgresNotifier(database, { ...options, logger: options.logger ?? silentLogger })
    this.#random = options.random ?? systemRandom
    this.#schema = options.schema ?? 'polyphony'
  }

  publish(topic: string, message: Uint8Array): void {
    if (this.#closing !== undefined) return
    this.#notifier.notify(this.#channelOf(topic), this.#parts.split(this.#random.hex(8), message))
  }

  async subscribe(topic: string, listener: (message: Uint8Array) => void): Promise<Unsubscribe> {
    if (this.#closing !== undefined) throw closedError('postgres bus')
    const known = this.#topics.get(topic)
    const current = known ?? this.#open(topic)
    current.listeners.add(listener)
    await current.ready
    return async () => {
      if (!current.listeners.delete(listener) || current.listeners.size > 0) return
      if (this.#topics.get(topic) === current) this.#topics.delete(topic)
      await (
        await current.ready
      )()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#topics.clear()
    await this.#listener.close()
    await this.#notifier.settled()
    await this.#database.close()
  }

  #open(topic: string): Topic {
    const listeners = new Set<(message: Uint8Array) => void>()
    const ready = this.#listener.listen(this.#channelOf(topic), (payload) => {
      const message = this.#parts.join(payload)
      if (message !== undefined) for (const listener of listeners) listener(message.slice())
    })
    const opened = { listeners, ready }
    this.#topics.set(topic, opened)
    return opened
  }

  /** A channel's name has at most 63 bytes. */
  #channelOf(topic: string): string {
    return `polyphony ${createHash('sha1').update(`${this.#schema} ${topic}`).digest('hex')}`
  }
}

interface Topic {
  readonly listeners: Set<(message: Uint8Array) => void>
  readonly ready: Promise<() => Promise<void>>
}

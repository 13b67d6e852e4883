import { silentLogger, type Logger } from '@polyphony/core'
import { closedError, type Bus, type Unsubscribe } from '@polyphony/storage'
import { RedisConnector, type RedisClient } from './redis-connection.ts'
import { RedisKeys } from './redis-keys.ts'
import type { RedisConnectionOptions } from './redis-options.ts'
import { RedisWakeups } from './redis-wakeups.ts'

/** Messages that wait for the server beyond this many are dropped: a lossy bus must not pile them up. */
const pendingMax = 10_000

/** Opens a bus over Redis's publish and subscribe. Rejects with `store-failed` when Redis cannot be reached. */
export async function openRedisBus(address: string, options: RedisConnectionOptions = {}): Promise<RedisBus> {
  const connector = await RedisConnector.probe(address, options)
  const publisher = await connector.open('bus-publish', 'fail')
  try {
    const subscriber = await connector.open('bus-subscribe', 'fail')
    return new RedisBus(publisher, subscriber, options)
  } catch (error) {
    publisher.disconnect()
    throw error
  }
}

/** A `Bus` on Redis. While Redis is away, messages are lost; subscriptions come back with it. */
export class RedisBus implements Bus {
  readonly #publisher: RedisClient
  readonly #wakeups: RedisWakeups
  readonly #keys: RedisKeys
  readonly #logger: Logger
  #pending = 0
  #closed = false

  /** Use `openRedisBus`. */
  constructor(publisher: RedisClient, subscriber: RedisClient, options: RedisConnectionOptions) {
    this.#publisher = publisher
    this.#logger = options.logger ?? silentLogger
    this.#keys = new RedisKeys(options.prefix ?? 'polyphony')
    this.#wakeups = new RedisWakeups(subscriber, this.#logger, () => undefined)
  }

  publish(topic: string, message: Uint8Array): void {
    if (this.#closed || this.#publisher.status !== 'ready' || this.#pending >= pendingMax) return
    this.#pending++
    this.#publisher
      .publish(this.#keys.bus(topic), Buffer.from(message))
      .catch((error: unknown) => this.#logger.debug({ topic, error: String(error) }, 'a message was lost'))
      .finally(() => this.#pending--)
  }

  async subscribe(topic: string, listener: (message: Uint8Array) => void): Promise<Unsubscribe> {
    if (this.#closed) throw closedError('redis bus')
    return this.#wakeups.listen(this.#keys.bus(topic), (message) => listener(new Uint8Array(message)))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wakeups.close()
    this.#publisher.disconnect()
  }
}

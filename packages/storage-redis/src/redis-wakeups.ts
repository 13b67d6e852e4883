import type { Logger } from '@polyphony/core'
import type { RedisClient } from './redis-connection.ts'

/**
 * Channels of one connection, each subscribed to while somebody listens; after a reconnect all of them again, and then
 * `onGap` is called, because messages were missed.
 */
export class RedisWakeups {
  readonly #client: RedisClient
  readonly #logger: Logger
  readonly #listeners = new Map<string, Set<(message: Buffer) => void>>()
  readonly #onGap: () => void

  constructor(client: RedisClient, logger: Logger, onGap: () => void) {
    this.#client = client
    this.#logger = logger
    this.#onGap = onGap
    client.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      for (const listener of this.#listeners.get(channel.toString()) ?? []) listener(message)
    })
    client.on('ready', () => void this.#resubscribe())
  }

  /** Settles once the server has the subscription; rejects when it cannot be reached. */
  async listen(channel: string, listener: (message: Buffer) => void): Promise<() => Promise<void>> {
    const listeners = this.#listeners.get(channel)
    this.#listeners.set(channel, (listeners ?? new Set()).add(listener))
    const leave = async (): Promise<void> => {
      const current = this.#listeners.get(channel)
      if (current?.delete(listener) !== true || current.size > 0) return
      this.#listeners.delete(channel)
      // Unreachable, it has forgotten the subscription anyway.
      if (this.#client.status === 'ready') await this.#client.unsubscribe(channel).catch(() => undefined)
      // Somebody may have come while the server was told.
      if (this.#listeners.has(channel)) await this.#client.subscribe(channel)
    }
    try {
      await this.#client.subscribe(channel)
      return leave
    } catch (error) {
      await leave()
      throw error
    }
  }

  close(): void {
    this.#listeners.clear()
    this.#client.disconnect()
  }

  async #resubscribe(): Promise<void> {
    const channels = [...this.#listeners.keys()]
    try {
      for (let at = 0; at < channels.length; at += 1000)
        await this.#client.subscribe(...channels.slice(at, at + 1000))
      this.#onGap()
    } catch (error) {
      // The connection is gone again, and the next one does the same.
      this.#logger.debug({ error: String(error) }, 'channels could not be subscribed to again')
    }
  }
}

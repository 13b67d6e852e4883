import { silentLogger, systemClock, systemRandom } from '@polyphony/core'
import { Client } from 'pg'
import { probeNotifications, type ProbedConnections } from './notification-probe.ts'
import { parseAddress } from './postgres-address.ts'
import { clientConfig, storeFailed } from './postgres-database.ts'
import type { PostgresConnectionOptions } from './postgres-options.ts'

const retryMsFirst = 50
const retryMsMax = 2_000

export interface ListenerLinks {
  /** Notifications were missed. */
  readonly onGap: () => void
  /** Sends a notification on another connection. */
  readonly notify: ProbedConnections['notify']
}

/**
 * One connection that listens on channels and reconnects by itself; after each reconnect it listens again, and then
 * `onGap` is called, because notifications were missed. Each connection is probed: see `probeNotifications`.
 */
export class PostgresListener {
  readonly #address: string
  readonly #options: PostgresConnectionOptions
  readonly #onGap: () => void
  readonly #notify: ProbedConnections['notify']
  readonly #listeners = new Map<string, Set<(payload: string) => void>>()
  readonly #commands: string[] = []
  #running: Promise<void> | undefined
  #probe = new AbortController()
  #probing: Promise<void> | undefined
  #client: Client | undefined
  #attempt = 0
  #closed = false

  private constructor(address: string, options: PostgresConnectionOptions, links: ListenerLinks) {
    this.#address = options.listenAddress ?? parseAddress(address).notifications
    this.#options = options
    this.#onGap = links.onGap
    this.#notify = links.notify
  }

  /** Rejects with `store-failed` when the first attempt to connect fails. */
  static async open(
    address: string,
    options: PostgresConnectionOptions,
    links: ListenerLinks,
  ): Promise<PostgresListener> {
    const listener = new PostgresListener(address, options, links)
    await listener.#connect()
    return listener
  }

  /** Settles once the server listens. While there is no connection, that is left to the next one. */
  async listen(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>> {
    this.#listeners.set(channel, (this.#listeners.get(channel) ?? new Set()).add(listener))
    const leave = async (): Promise<void> => {
      const listeners = this.#listeners.get(channel)
      if (listeners?.delete(listener) !== true || listeners.size > 0) return
      this.#listeners.delete(channel)
      await this.#run('UNLISTEN', channel)
      // Somebody may have come while the server was told.
      if (this.#listeners.has(channel)) await this.#run('LISTEN', channel)
    }
    await this.#run('LISTEN', channel)
    return leave
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#probe.abort()
    await this.#probing
    this.#listeners.clear()
    const client = this.#client
    this.#client = undefined
    await client?.end()
  }

  /** Settles when the server has taken it; a connection that fails leaves it to the next one. */
  #run(command: 'LISTEN' | 'UNLISTEN', channel: string): Promise<void> {
    this.#commands.push(`${command} "${channel}"`)
    this.#running ??= this.#runAll().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #runAll(): Promise<void> {
    // A connection takes one query at a time; what is asked for in the same turn is one.
    await Promise.resolve()
    while (this.#commands.length > 0) {
      const client = this.#client
      const commands = this.#commands.splice(0)
      try {
        await client?.query(commands.join('; '))
      } catch (error) {
        this.#lost(client, error)
      }
    }
  }

  async #connect(): Promise<void> {
    const { statementTimeoutMs = 10_000 } = this.#options
    const client = new Client({
      ...clientConfig(this.#address, this.#options, 'listen'),
      query_timeout: statementTimeoutMs,
    })
    const heard = new Set<string>()
    client.on('notification', ({ channel, payload = '' }) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(payload)
    })
    client.on('error', (error) => this.#lost(client, error))
    client.on('end', () => this.#lost(client, new Error('the connection ended')))
    try {
      await client.connect()
      for (const channel of this.#listeners.keys()) {
        await client.query(`LISTEN "${channel}"`)
        heard.add(channel)
      }
    } catch (cause) {
      client.removeAllListeners('end')
      void client.end().catch(() => undefined)
      throw storeFailed(cause)
    }
    if (this.#closed) {
      await client.end()
      return
    }
    this.#client = client
    this.#attempt = 0
    this.#beginProbe()
    // What began to listen while this connection was being made.
    for (const channel of this.#listeners.keys()) if (!heard.has(channel)) void this.#run('LISTEN', channel)
  }

  #beginProbe(): void {
    const notify = (channel: string, payload: string): Promise<unknown> => this.#notify(channel, payload)
    const listen: ProbedConnections['listen'] = (channel, listener) => this.listen(channel, listener)
    this.#probe.abort()
    this.#probe = new AbortController()
    this.#probing = probeNotifications({ listen, notify }, this.#options, this.#probe.signal)
  }

  #lost(client: Client | undefined, error: unknown): void {
    if (this.#closed || client === undefined || client !== this.#client) return
    this.#client = undefined
    this.#probe.abort()
    const { logger = silentLogger } = this.#options
    logger.warn({ error: String(error) }, 'postgres notifications interrupted; the connection is made again')
    void client.end().catch(() => undefined)
    this.#reconnectLater()
  }

  #reconnectLater(): void {
    const { clock = systemClock, random = systemRandom, logger = silentLogger } = this.#options
    const backoff = Math.min(retryMsMax, retryMsFirst * 2 ** Math.min(this.#attempt++, 10))
    clock.after(backoff * (0.5 + random.uint32() / 2 ** 33), () => {
      if (this.#closed) return
      this.#connect().then(
        () => this.#onGap(),
        (error: unknown) => {
          logger.debug({ error: String(error) }, 'postgres cannot be reached')
          this.#reconnectLater()
        },
      )
    })
  }
}

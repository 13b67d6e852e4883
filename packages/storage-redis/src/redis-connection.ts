import { PolyphonyError, silentLogger, systemRandom, type Logger, type Random } from '@polyphony/core'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisConnectionOptions } from './redis-options.ts'
import { storeFailed } from './redis-reply.ts'
import type { RedisScript } from './redis-scripts.ts'

export type RedisClient = Redis | Cluster

/** One run of a script: `keys` and `args` as the script documents them. */
export interface ScriptCall {
  readonly script: RedisScript
  readonly keys: readonly string[]
  readonly args: readonly (string | Buffer | Uint8Array)[]
}

/** What becomes of the commands that are under way when the connection is lost. */
type OnLoss =
  /** They fail at once: whoever sent them cannot know whether they were carried out. */
  | 'fail'
  /** They are sent again, at most twice; for what may be carried out twice. */
  | 'repeat'

const retryMsFirst = 50
const retryMsMax = 2_000

/** How to open connections to one Redis, wherever its primary is now; one server, one behind Sentinels, or a cluster. */
export class RedisConnector {
  readonly isCluster: boolean
  readonly #url: URL
  readonly #options: RedisConnectionOptions
  readonly #logger: Logger
  readonly #random: Random

  private constructor(url: URL, options: RedisConnectionOptions, isCluster: boolean) {
    this.#url = url
    this.#options = options
    this.#logger = options.logger ?? silentLogger
    this.#random = options.random ?? systemRandom
    this.isCluster = isCluster
  }

  /** Connects once to find out what is there. Throws `TypeError` for an address that is none of Redis. */
  static async probe(address: string, options: RedisConnectionOptions): Promise<RedisConnector> {
    const url = parseAddress(address)
    const single = new RedisConnector(url, options, false)
    if (options.sentinel !== undefined) return single
    const client = await single.open('probe', 'fail')
    try {
      const info = String(await client.call('info', 'cluster'))
      return info.includes('cluster_enabled:1') ? new RedisConnector(url, options, true) : single
    } catch (cause) {
      throw storeFailed(cause)
    } finally {
      client.disconnect()
    }
  }

  /** Opens a connection that reconnects by itself; rejects with `store-failed` when even the first attempt fails. */
  async open(purpose: string, onLoss: OnLoss): Promise<RedisClient> {
    const client = this.isCluster
      ? this.#openCluster(purpose, onLoss)
      : new Redis(this.#redisOptions(purpose, onLoss))
    let problem: Error | undefined
    client.on('error', (error: Error) => {
      problem = error
      this.#logger.warn(
        { connection: purpose, error: error.message },
        'redis connection failed; it is tried again',
      )
    })
    try {
      await client.connect()
      return client
    } catch (cause) {
      client.disconnect()
      // ioredis rejects with "Connection is closed", whatever closed it.
      throw storeFailed(problem ?? cause)
    }
  }

  #openCluster(purpose: string, onLoss: OnLoss): Cluster {
    const redisOptions = this.#redisOptions(purpose, onLoss)
    return new Cluster([{ host: this.#url.hostname, port: Number(this.#url.port || 6379) }], {
      redisOptions,
      lazyConnect: true,
      scaleReads: 'master',
      clusterRetryStrategy: (times) => this.#retryMs(times),
      // A slot that moves or fails over answers within this many tries.
      maxRedirections: 16,
      retryDelayOnClusterDown: 200,
      retryDelayOnFailover: 200,
    })
  }

  #redisOptions(purpose: string, onLoss: OnLoss): Omit<RedisOptions, 'replyMapping'> {
    const { connectTimeoutMs = 5_000, commandTimeoutMs = 10_000, sentinel, ca } = this.#options
    const { hostname, port, username, password, pathname, protocol } = this.#url
    const secure = protocol === 'rediss:'
    return {
      ...(sentinel === undefined
        ? { host: hostname, port: Number(port || 6379) }
        : {
            sentinels: sentinel.addresses.map(({ host, port }) => ({ host, port })),
            name: sentinel.name,
            ...(sentinel.password === undefined ? {} : { sentinelPassword: sentinel.password }),
            // Learns of a failover from the Sentinels, also while the old primary is up but cut off.
            failoverDetector: true,
            sentinelRetryStrategy: (times: number) => this.#retryMs(times),
          }),
      ...(secure ? { tls: ca === undefined ? {} : { ca } } : {}),
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      db: Number(pathname.slice(1) || 0),
      connectionName: `polyphony-${purpose}`,
      lazyConnect: true,
      connectTimeout: connectTimeoutMs,
      commandTimeout: commandTimeoutMs,
      // A connection on which nothing comes back is given up, or every later command would wait on it in vain.
      socketTimeout: commandTimeoutMs,
      keepAlive: 10_000,
      maxRetriesPerRequest: onLoss === 'fail' ? 0 : 2,
      autoResendUnfulfilledCommands: onLoss === 'repeat',
      autoResubscribe: false,
      retryStrategy: (times) => this.#retryMs(times),
      // What was the primary has become a replica: the address may lead to the new one.
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    }
  }

  #retryMs(times: number): number {
    const backoff = Math.min(retryMsMax, retryMsFirst * 2 ** Math.min(times, 10))
    return backoff * (0.5 + this.#random.uint32() / 2 ** 33)
  }
}

/** Runs one script. */
export async function runScript(client: RedisClient, { script, keys, args }: ScriptCall): Promise<unknown> {
  const rest = [keys.length, ...keys, ...args.map(asArgument)]
  try {
    return await client.callBuffer('evalsha', [script.sha, ...rest])
  } catch (error) {
    if (!isUnknownScript(error)) throw error
    return client.callBuffer('eval', [script.source, ...rest])
  }
}

/** A result or an error for each call, in order. */
export type ScriptOutcome = { readonly reply: unknown } | { readonly error: unknown }

/** Runs scripts in one write and one wait, where they go to one server. Never rejects. */
export async function runScripts(
  client: RedisClient,
  calls: readonly ScriptCall[],
): Promise<readonly ScriptOutcome[]> {
  if (client instanceof Cluster) return Promise.all(calls.map((call) => outcomeOf(runScript(client, call))))
  const pipeline = client.pipeline()
  for (const { script, keys, args } of calls)
    pipeline.callBuffer('evalsha', [script.sha, keys.length, ...keys, ...args.map(asArgument)])
  try {
    const replies = (await pipeline.exec()) ?? []
    return await Promise.all(
      calls.map(async (call, index): Promise<ScriptOutcome> => {
        const [error, reply] = replies[index] ?? [new Error('The pipeline gave no reply.'), undefined]
        if (error === null) return { reply }
        return isUnknownScript(error) ? outcomeOf(runScript(client, call)) : { error }
      }),
    )
  } catch (error) {
    return calls.map(() => ({ error }))
  }
}

async function outcomeOf(reply: Promise<unknown>): Promise<ScriptOutcome> {
  try {
    return { reply: await reply }
  } catch (error) {
    return { error }
  }
}

function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** A `Buffer` over the same bytes: ioredis would write another array as text. */
function asArgument(argument: string | Uint8Array): string | Buffer {
  if (typeof argument === 'string' || Buffer.isBuffer(argument)) return argument
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength)
}

function parseAddress(address: string): URL {
  if (!URL.canParse(address)) throw new TypeError('The address of Redis is no URL.')
  const url = new URL(address)
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw new TypeError(`The address of Redis begins with redis:// or rediss://, not ${url.protocol}//`)
  if (!/^\/?\d*$/.test(url.pathname))
    throw new TypeError('The path of a Redis address is the number of a database.')
  return url
}

/** What a store that is not usable says. */
export function refused(message: string): PolyphonyError {
  return new PolyphonyError('store-failed', message)
}

import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import { Doc } from 'yjs'
import { StartError } from '../start-error.ts'
import { hidePassword } from './hide-password.ts'
import type { ImportSource, SourceDocument } from './import-source.ts'
import { loadOptionalPackage } from './optional-package.ts'

/** What is used of `y-redis` 1.0.3, whose types its package does not lead to. */
interface YRedis {
  readonly RedisPersistence: new (options: { readonly redisOpts: object }) => Persistence
}

interface Persistence {
  readonly redis: Redis
  readonly sub: Redis
  bindState(name: string, doc: Doc): { readonly synced: Promise<unknown> }
  closeDoc(name: string): Promise<unknown> | undefined
}

/** The ioredis that `y-redis` brings. */
interface Redis extends EventEmitter {
  readonly status: string
  scan(cursor: string, ...args: readonly string[]): Promise<readonly [string, readonly string[]]>
  type(key: string): Promise<string>
  exists(key: string): Promise<number>
  disconnect(): void
}

/** `y-redis` appends a document's updates to the list of this name. */
const suffix = ':updates'

/**
 * The documents that npm `y-redis` 1.0 keeps in a Redis: `RedisPersistence` itself reads them. Throws a `StartError` when
 * the server cannot be reached.
 */
export async function openYRedisSource(address: string): Promise<ImportSource> {
  const title = `y-redis in ${hidePassword(address)}`
  const { RedisPersistence } = await loadOptionalPackage<YRedis>('y-redis', '1.0.3')
  const persistence = new RedisPersistence({ redisOpts: redisOptions(new URL(address)) })
  const { redis, sub } = persistence
  const close = (): void => {
    redis.disconnect()
    sub.disconnect()
  }
  try {
    await Promise.all([ready(redis), ready(sub)])
  } catch (error) {
    close()
    const message = error instanceof Error ? error.message : String(error)
    throw new StartError(`The Redis at ${hidePassword(address)} cannot be used: ${message}`, { cause: error })
  }
  // What a command fails with says enough; without a listener, the client writes to the console.
  for (const client of [redis, sub]) client.on('error', () => undefined)
  return {
    title,
    layout: () => ({}),
    names: () => listNames(redis),
    load: (name) => loadDocument(persistence, name),
    close: async () => close(),
  }
}

async function loadDocument(persistence: Persistence, name: string): Promise<SourceDocument> {
  const doc = new Doc()
  const bound = persistence.bindState(name, doc)
  try {
    await bound.synced
  } finally {
    // It would write what others do to this document; nobody does.
    await persistence.closeDoc(name)
  }
  if ((await persistence.redis.exists(name + suffix)) === 0)
    throw new Error('the source had it a moment ago, but not any more')
  return { doc }
}

/** Keys of other applications may end in the same letters: only lists count. */
async function listNames(redis: Redis): Promise<readonly string[]> {
  // SCAN may give a key more than once.
  const names = new Set<string>()
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `*${suffix}`, 'COUNT', '1000')
    const types = await Promise.all(keys.map((key) => redis.type(key)))
    for (const [at, key] of keys.entries()) {
      if (types[at] === 'list') names.add(key.slice(0, -suffix.length))
    }
    cursor = next
  } while (cursor !== '0')
  return [...names]
}

async function ready(client: Redis): Promise<void> {
  if (client.status !== 'ready') await once(client, 'ready')
}

/** The options of ioredis 4 for an address. It tries to connect for some seconds, then commands fail. */
function redisOptions(url: URL): object {
  const { hostname, port, username, password, pathname, protocol } = url
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? 6379 : Number(port),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    db: pathname.length > 1 ? Number(pathname.slice(1)) : 0,
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
    connectTimeout: 5_000,
    maxRetriesPerRequest: 3,
  }
}

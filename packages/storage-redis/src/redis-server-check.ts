import type { Logger } from '@polyphony/core'
import type { StoreCapabilities } from '@polyphony/storage'
import { Cluster, type Redis } from 'ioredis'
import { refused, type RedisClient } from './redis-connection.ts'
import type { RedisStoreOptions } from './redis-options.ts'

/** What a server promises, from its own configuration. */
interface ServerFacts {
  readonly version: string
  readonly role: string
  readonly appendOnly: boolean
  /** `always`, `everysec`, `no`; `undefined` where the server does not say, as hosted ones do. */
  readonly fsync: string | undefined
  readonly evictionPolicy: string
  readonly replicas: number
}

/**
 * Reads what the server, or every primary of a cluster, survives. Rejects with `store-failed` when it could drop documents
 * by itself: an eviction policy for keys without an expiry, or no append-only file unless `allowVolatile`.
 */
export async function checkServers(
  client: RedisClient,
  options: RedisStoreOptions,
  logger: Logger,
): Promise<StoreCapabilities['survives']> {
  const servers: readonly Redis[] = client instanceof Cluster ? client.nodes('master') : [client]
  const facts = await Promise.all(servers.map(readFacts))
  for (const server of facts) assertUsable(server, options)
  const unsynced = facts.find(({ fsync }) => fsync !== 'always')
  if (unsynced !== undefined) {
    const { appendOnly, fsync } = unsynced
    logger.warn({ appendOnly, fsync }, 'redis acknowledges before its disk has the data; see docs/redis.md')
  }
  const count = options.waitReplicas?.count ?? 0
  return {
    processKill: unsynced === undefined,
    powerCut: unsynced === undefined,
    failover: count > 0 && facts.every(({ replicas }) => count >= replicas),
  }
}

async function readFacts(server: Redis): Promise<ServerFacts> {
  const info = parseInfo(await server.info())
  return {
    version: info.get('redis_version') ?? '0',
    role: info.get('role') ?? '',
    appendOnly: info.get('aof_enabled') === '1',
    fsync: info.get('aof_enabled') === '1' ? await readFsync(server) : undefined,
    evictionPolicy: info.get('maxmemory_policy') ?? '',
    replicas: Number(info.get('connected_slaves') ?? 0),
  }
}

function assertUsable(
  { version, role, appendOnly, evictionPolicy }: ServerFacts,
  options: RedisStoreOptions,
): void {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2))
    throw refused(`Redis 6.2 or newer, or Valkey, is needed; this one is ${version}.`)
  if (role !== 'master')
    throw refused(`This Redis is a ${role}, not the primary: nothing can be written to it.`)
  // Our documents have no expiry, so that `volatile-…` policies leave them alone.
  if (evictionPolicy !== 'noeviction' && !evictionPolicy.startsWith('volatile-')) {
    throw refused(
      `This Redis may drop documents when its memory is full: set maxmemory-policy to noeviction, not ${evictionPolicy}.`,
    )
  }
  if (!appendOnly && options.allowVolatile !== true) {
    throw refused(
      'This Redis keeps no append-only file, so documents end with its process: set appendonly to yes, or allow it ' +
        'with allowVolatile.',
    )
  }
}

/** Hosted servers refuse CONFIG; they are then taken for the weaker sort. */
async function readFsync(server: Redis): Promise<string | undefined> {
  try {
    const [, value] = await server.config('GET', 'appendfsync')
    return value
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') return undefined
    throw error
  }
}

function parseInfo(info: string): Map<string, string> {
  const fields = info.split('\r\n').flatMap((line): [string, string][] => {
    const colon = line.indexOf(':')
    return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]]
  })
  return new Map(fields)
}

import { join } from 'node:path'
import { systemClock, type Telemetry } from '@polyphony/core'
import { MemoryStore, observed, sharded, type DocumentStore } from '@polyphony/storage'
import { compressed, encrypted, parseKeyRing } from '@polyphony/storage/node'
import { openLevelStore } from '@polyphony/storage-level'
import { openPostgresStore } from '@polyphony/storage-postgres'
import { openRedisStore } from '@polyphony/storage-redis'
import { directoryBytes, postgresBytes, redisBytes } from './disk-usage.ts'
import { GatheredStore } from './gathered-store.ts'
import type { OpenSubject, Place } from './subject.ts'

/** The store that wrappers are compared with. */
export const plainStore = 'level, no fsync'

// Made up, so that a second process can read what the first has written.
const keys = parseKeyRing(`bench:${Buffer.alloc(32, 7).toString('base64')}`)

const wrappers: Readonly<Record<string, (store: DocumentStore) => DocumentStore>> = {
  compressed: (store) => compressed(store),
  encrypted: (store) => encrypted(store, keys),
  'compressed(encrypted)': (store) => compressed(encrypted(store, keys)),
  observed: (store) => observed(store, { telemetry: countingTelemetry(), clock: systemClock }),
}

/** By name. "fsync" says whether an answer means that the disk has it. */
export const ourSubjects: Readonly<Record<string, OpenSubject>> = {
  memory: async () => new GatheredStore(new MemoryStore(), async () => 0),
  'level, fsync': (place) => onLevel(place, true),
  'level, fsync, compressed(encrypted)': (place) => onLevel(place, true, wrappers['compressed(encrypted)']),
  [plainStore]: (place) => onLevel(place, false),
  ...Object.fromEntries(
    Object.entries(wrappers).map(([name, wrap]): [string, OpenSubject] => [
      `${plainStore}, ${name}`,
      (place) => onLevel(place, false, wrap),
    ]),
  ),
  [`${plainStore}, sharded over 4`]: onShards,
  'redis, appendfsync always': ({ redisUrl, name }) => onRedis(redisUrl, name),
  'redis, appendfsync everysec': ({ redisEverysecUrl, name }) => onRedis(redisEverysecUrl, name),
  postgres: async ({ postgresUrl, name }) => {
    const schema = `bench_${name}`
    return new GatheredStore(await openPostgresStore(postgresUrl, { schema }), () =>
      postgresBytes(postgresUrl, schema),
    )
  },
}

async function onLevel(
  { directory }: Place,
  fsync: boolean,
  wrap: (store: DocumentStore) => DocumentStore = (store) => store,
): Promise<GatheredStore> {
  return new GatheredStore(wrap(await openLevelStore(directory, { fsync })), () => directoryBytes(directory))
}

async function onShards({ directory }: Place): Promise<GatheredStore> {
  const names = ['a', 'b', 'c', 'd']
  const stores = await Promise.all(
    names.map((name) => openLevelStore(join(directory, name), { fsync: false })),
  )
  const shards = Object.fromEntries(names.map((name, at) => [name, stores[at] as DocumentStore]))
  return new GatheredStore(sharded(shards), () => directoryBytes(directory))
}

async function onRedis(url: string, name: string): Promise<GatheredStore> {
  const before = await redisBytes(url)
  const store = await openRedisStore(url, { prefix: name })
  return new GatheredStore(store, async () => (await redisBytes(url)) - before)
}

/** As much work as a metrics endpoint makes of it. */
function countingTelemetry(): Telemetry {
  const sums = new Map<string, number>()
  const add = (name: string, value: number): void => void sums.set(name, (sums.get(name) ?? 0) + value)
  return { count: add, gauge: add, observe: add }
}

import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openRedisStore, type RedisStoreOptions } from '@polyphony/storage-redis'
import {
  appendTo,
  readAll,
  readTexts,
  refusedAppend,
  sampleBytes,
  sampleCheckpoint,
  sampleEntries,
  sampleEntry,
} from '@polyphony/storage/testing'
import {
  AppendLoad,
  expectAcknowledged,
  FollowedLog,
  startRedis,
  startRedisSentinel,
  type RedisService,
} from '@polyphony/test-services'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, test, vi } from 'vitest'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const rounds = process.env['POLYPHONY_SOAK'] === '1' ? 30 : 5
const documentIds = ['a', 'b', 'c']
const waitOptions = { timeout: 30_000, interval: 10 }

async function start(settings: Readonly<Record<string, string>> = {}): Promise<RedisService> {
  const service = await startRedis({ settings })
  cleanups.push(() => service.stop())
  return service
}

async function open(url: string, options: RedisStoreOptions = {}): Promise<DocumentStore> {
  const store = await openRedisStore(url, { commandTimeoutMs: 500, pollMs: 500, ...options })
  cleanups.push(() => store.close())
  return store
}

describe('a server that syncs before each reply', () => {
  test(`is killed ${rounds} times under load: nothing acknowledged is lost, followers miss and repeat nothing`, async () => {
    const service = await start()
    const [writer, reader] = [await open(service.url), await open(service.url)]
    const feeds = await Promise.all(documentIds.map((documentId) => FollowedLog.open(reader, documentId)))
    const load = new AppendLoad(writer, documentIds)
    for (let round = 0; round < rounds; round++) {
      await load.progress(30)
      await service.process.kill()
      await load.failure()
      await service.process.restart()
    }
    await load.progress(30)
    await load.stop()
    expect(load.failures.map((error) => (error as PolyphonyError).code)).toSatisfy(everyIs('store-failed'))
    await expectAcknowledged(reader, load.acknowledged)
    for (const feed of feeds) await feed.expectWhole()
  })

  test('is paused under load: appends fail in time, and everything goes on when it is resumed', async () => {
    const service = await start()
    const store = await open(service.url)
    const feed = await FollowedLog.open(store, 'a')
    const load = new AppendLoad(store, documentIds)
    await load.progress(30)
    await service.process.pause()
    await load.failure()
    await expect(store.head('a')).rejects.toMatchObject({ code: 'store-failed' })
    await service.process.resume()
    await load.progress(30)
    await load.stop()
    await expectAcknowledged(store, load.acknowledged)
    await feed.expectWhole()
  })
})

describe('a log that lost its tail', () => {
  /** A server whose file is put back to an earlier state, with a store on it that has seen the later one. */
  async function loseTail(): Promise<{
    service: RedisService
    store: DocumentStore
    feed: FollowedLog
    incarnation: string
  }> {
    const service = await start({ appendfsync: 'everysec' })
    const store = await open(service.url)
    const feed = await FollowedLog.open(store, 'doc')
    const { incarnation } = await appendTo(store, 'doc', sampleEntries(5, 'kept'))
    const [data, copy] = [join(service.process.folder, 'appendonlydir'), join(service.process.folder, 'copy')]
    cpSync(data, copy, { recursive: true })
    await appendTo(store, 'doc', sampleEntries(5, 'lost'))
    await vi.waitFor(() => expect(feed.entries.length).toBe(10), waitOptions)
    await service.process.kill()
    rmSync(data, { recursive: true })
    cpSync(copy, data, { recursive: true })
    return { service, store, feed, incarnation }
  }

  test('is noticed by who follows it, and goes on as a new incarnation', async () => {
    const { service, store, feed, incarnation } = await loseTail()
    await service.process.restart()
    await vi.waitFor(() => expect(feed.ended?.code).toBe('incarnation-mismatch'), waitOptions)
    const head = await store.head('doc')
    expect(head?.revision).toBe(5)
    expect(head?.incarnation).not.toBe(incarnation)
    expect(
      await refusedAppend(store, { documentId: 'doc', entries: sampleEntries(1), incarnation }),
    ).toMatchObject({
      code: 'incarnation-mismatch',
    })
    expect((await appendTo(store, 'doc', sampleEntries(1, 'new'))).first).toBe(6)
    expect(await readTexts(store, 'doc')).toEqual(['kept1', 'kept2', 'kept3', 'kept4', 'kept5', 'new1'])
  })

  test('is noticed even when others have filled the numbers again', async () => {
    const { service, feed } = await loseTail()
    // Somebody is quicker than the store that has seen the tail.
    await service.process.pause().catch(() => undefined)
    const restarted = service.process.restart()
    await restarted
    const other = await open(service.url)
    await appendTo(other, 'doc', sampleEntries(8, 'other'))
    await vi.waitFor(() => expect(feed.ended?.code).toBe('incarnation-mismatch'), waitOptions)
    expect(feed.entries.length).toBe(10)
  })

  test('is noticed by who appends to it, before anything is written', async () => {
    const service = await start({ appendfsync: 'everysec' })
    const store = await open(service.url)
    const { incarnation } = await appendTo(store, 'doc', sampleEntries(3))
    const admin = await connect(service)
    // What a failover does, done by hand: the last entry is another one.
    await admin.call('eval', forgeTail, 2, 'polyphony:{doc}:head', 'polyphony:{doc}:log')
    const append = { documentId: 'doc', entries: sampleEntries(1, 'next'), incarnation }
    expect(await refusedAppend(store, append)).toMatchObject({ code: 'incarnation-mismatch' })
    expect((await store.head('doc'))?.revision).toBe(3)
    expect((await store.head('doc'))?.incarnation).not.toBe(incarnation)
  })
})

test('a log whose last entry is another one by now is not deleted by who has seen the first', async () => {
  const service = await start({ appendfsync: 'everysec' })
  const store = await open(service.url)
  const { incarnation } = await appendTo(store, 'doc', sampleEntries(3))
  const admin = await connect(service)
  await admin.call('eval', forgeTail, 2, 'polyphony:{doc}:head', 'polyphony:{doc}:log')
  await expect(store.delete('doc', { expect: 3, incarnation })).rejects.toMatchObject({
    code: 'incarnation-mismatch',
  })
  const head = await store.head('doc')
  expect(head?.tombstone).toBeUndefined()
  await store.delete('doc', { expect: 3, incarnation: head?.incarnation })
  expect((await store.head('doc'))?.tombstone).toBeDefined()
})

describe('failover', () => {
  async function startPair(): Promise<{ primary: RedisService; sentinel: RedisService }> {
    const primary = await start()
    await start({ replicaof: `127.0.0.1 ${primary.port}`, 'repl-diskless-sync-delay': '0' })
    const sentinel = await startRedisSentinel(primary, 'main')
    cleanups.push(() => sentinel.stop())
    const admin = await connect(primary)
    const seen = await connect(sentinel)
    await vi.waitFor(
      async () => expect(await admin.info('replication')).toContain('state=online'),
      waitOptions,
    )
    await vi.waitFor(async () => expect(await seen.info('sentinel')).toContain('slaves=1'), waitOptions)
    return { primary, sentinel }
  }

  function sentinelOptions(sentinel: RedisService): RedisStoreOptions {
    return { sentinel: { name: 'main', addresses: [{ host: '127.0.0.1', port: sentinel.port }] } }
  }

  test('to a replica that lacks the tail: the loss is noticed, never silent', async () => {
    const { primary, sentinel } = await startPair()
    const store = await open(primary.url, sentinelOptions(sentinel))
    expect(store.capabilities.survives.failover).toBe(false)
    const feeds = await Promise.all(documentIds.map((documentId) => FollowedLog.open(store, documentId)))
    const load = new AppendLoad(store, documentIds)
    await load.progress(60)
    // The replica is cut off and cannot come back: it does not know the password that there is now. Who is connected stays.
    const admin = await connect(primary)
    await admin.config('SET', 'requirepass', 'secret')
    await admin.call('client', 'kill', 'type', 'replica')
    await vi.waitFor(
      async () => expect(await admin.info('replication')).toContain('connected_slaves:0'),
      waitOptions,
    )
    await load.progress(60)
    await primary.process.kill()
    await load.failure()
    await load.progress(60)
    await load.stop()
    for (const [index, documentId] of documentIds.entries()) {
      const feed = feeds[index]!
      await vi.waitFor(() => expect(feed.ended?.code).toBe('incarnation-mismatch'), waitOptions)
      const acknowledged = load.acknowledged.filter((entry) => entry.documentId === documentId)
      const incarnations = new Set(acknowledged.map(({ incarnation }) => incarnation))
      expect(incarnations.size).toBe(2)
      const { incarnation } = (await store.head(documentId))!
      // Under the new incarnation everything acknowledged is there; what is lost was acknowledged under the old one.
      await expectAcknowledged(
        store,
        acknowledged.filter((entry) => entry.incarnation === incarnation),
      )
    }
  })

  test('with waitReplicas, everything acknowledged is on the promoted replica', async () => {
    const { primary, sentinel } = await startPair()
    const options = { ...sentinelOptions(sentinel), waitReplicas: { count: 1, timeoutMs: 300 } }
    const store = await open(primary.url, options)
    expect(store.capabilities.survives.failover).toBe(true)
    const load = new AppendLoad(store, documentIds)
    await load.progress(150)
    await primary.process.kill()
    await load.failure()
    await load.stop()
    const promoted = await vi.waitFor(() => open(primary.url, sentinelOptions(sentinel)), waitOptions)
    await expectAcknowledged(promoted, load.acknowledged)
    // Nobody is left to replicate to.
    const waiting = await open(primary.url, options)
    expect(await refusedAppend(waiting, { documentId: 'a', entries: sampleEntries(1) })).toMatchObject({
      code: 'store-failed',
    })
    const before = (await promoted.head('a'))?.revision
    for (let attempt = 0; attempt < 3; attempt++)
      expect(await refusedAppend(waiting, { documentId: 'a', entries: sampleEntries(1) })).toMatchObject({
        code: 'store-failed',
      })
    expect((await promoted.head('a'))?.revision).toBe(before)
  })
})

describe('at open', () => {
  test.each([
    [{ 'maxmemory-policy': 'allkeys-lru' }, /maxmemory-policy/],
    [{ 'maxmemory-policy': 'allkeys-random' }, /maxmemory-policy/],
    [{ appendonly: 'no' }, /append-only/],
  ])('a server with %j is refused', async (settings, message) => {
    const service = await start(settings)
    await expect(openRedisStore(service.url)).rejects.toThrow(message)
  })

  test.each(['noeviction', 'volatile-lru', 'volatile-ttl'])(
    'the eviction policy %s is fine',
    async (policy) => {
      const store = await open((await start({ 'maxmemory-policy': policy })).url)
      expect((await appendTo(store, 'doc', sampleEntries(1))).last).toBe(1)
    },
  )

  test('capabilities say what the server is set to', async () => {
    const survives = async (settings: Readonly<Record<string, string>>) =>
      (await open((await start(settings)).url, { allowVolatile: true })).capabilities.survives
    expect(await survives({ appendfsync: 'always' })).toEqual({
      processKill: true,
      powerCut: true,
      failover: false,
    })
    expect(await survives({ appendfsync: 'everysec' })).toEqual({
      processKill: false,
      powerCut: false,
      failover: false,
    })
    expect(await survives({ appendonly: 'no' })).toEqual({
      processKill: false,
      powerCut: false,
      failover: false,
    })
  })

  test('a replica is refused, an address without a server fails, and one that is none is a TypeError', async () => {
    const primary = await start()
    const replica = await start({ replicaof: `127.0.0.1 ${primary.port}` })
    await expect(openRedisStore(replica.url)).rejects.toThrow(/not the primary/)
    await primary.stop()
    await expect(openRedisStore(primary.url)).rejects.toMatchObject({ code: 'store-failed' })
    await expect(openRedisStore('http://localhost')).rejects.toBeInstanceOf(TypeError)
    await expect(openRedisStore('nonsense')).rejects.toBeInstanceOf(TypeError)
  })

  test('a server that comes back unable to keep documents gets no more of them', async () => {
    const service = await start()
    const store = await open(service.url)
    await appendTo(store, 'doc', sampleEntries(1))
    const admin = await connect(service)
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await admin.call('client', 'kill', 'type', 'normal')
    await vi.waitFor(async () => {
      const error = await refusedAppend(store, { documentId: 'doc', entries: sampleEntries(1) })
      expect(String(error)).toMatch(/maxmemory-policy/)
    }, waitOptions)
  })
})

test('memory that is full fails appends, loses nothing, and the store goes on when there is room', async () => {
  const service = await start({ maxmemory: '4mb' })
  const store = await open(service.url)
  const load = new AppendLoad(store, documentIds)
  const admin = await connect(service)
  await load.progress(30)
  await admin.config('SET', 'maxmemory', '1')
  await load.failure()
  await load.failure()
  await admin.config('SET', 'maxmemory', '0')
  await load.progress(30)
  await load.stop()
  expect(load.failures.map(String)).toSatisfy((errors: string[]) =>
    errors.every((error) => error.includes('OOM')),
  )
  await expectAcknowledged(store, load.acknowledged)
})

test('damaged bytes are found, named, and hurt no other document', async () => {
  const service = await start()
  const store = await open(service.url)
  for (const documentId of ['bad', 'good']) await appendTo(store, documentId, sampleEntries(3))
  const admin = await connect(service)
  await admin.call('eval', damageEntry, 1, 'polyphony:{bad}:log')
  await expect(readTexts(store, 'bad')).rejects.toMatchObject({
    code: 'store-corrupt',
    message: expect.stringMatching(/entry 2 of "bad"/),
  })
  await expect(FollowedLog.open(store, 'bad')).rejects.toMatchObject({ code: 'store-corrupt' })
  expect(await readTexts(store, 'good')).toEqual(['1', '2', '3'])
})

describe('large entries', () => {
  const large = (seed: number) => sampleEntry(sampleBytes(700_000, seed))

  test('go with what refers to them, after a minute in which they can still be read; refused ones at once', async () => {
    const service = await start()
    const store = await open(service.url, { retention: { entries: 1, bytes: 1e9, ageMs: 1e12 } })
    const admin = await connect(service)
    const lifetimes = async (): Promise<readonly boolean[]> => {
      const keys = await admin.keys('polyphony:{doc}:large:*')
      return (await Promise.all(keys.map((key) => admin.pttl(key)))).map((ms) => ms > 0 && ms <= 60_000)
    }
    await appendTo(store, 'doc', [large(1), ...sampleEntries(1), large(2), large(3)])
    expect(await lifetimes()).toEqual([false, false, false])
    await refusedAppend(store, { documentId: 'doc', entries: [large(4)], expect: 1 })
    expect(await lifetimes()).toEqual([false, false, false])
    await store.checkpoint('doc', sampleCheckpoint(3, sampleBytes(10)))
    await vi.waitFor(async () => expect((await lifetimes()).filter(Boolean).length).toBe(1), waitOptions)
    expect((await readAll(store, 'doc', { after: 3 })).entries[0]?.update).toEqual(large(3).update)
    await store.delete('doc')
    expect(await lifetimes()).toEqual([true, true, true])
    expect(await admin.exists('polyphony:{doc}:larges')).toBe(0)
  })

  test('with a damaged chunk are named, and hurt no other document', async () => {
    const service = await start()
    const store = await open(service.url)
    for (const documentId of ['bad', 'good']) await appendTo(store, documentId, [large(1), large(2)])
    const admin = await connect(service)
    const [key = ''] = await admin.zrange('polyphony:{bad}:larges', '1', '1')
    const chunk = await admin.hgetBuffer(`polyphony:{bad}:large:${key}`, '1')
    chunk?.writeUInt8((chunk.at(-1) ?? 0) ^ 1, chunk.length - 1)
    await admin.hset(`polyphony:{bad}:large:${key}`, '1', chunk ?? '')
    await expect(readAll(store, 'bad')).rejects.toMatchObject({
      code: 'store-corrupt',
      message: expect.stringMatching(/entry 2 chunk 1 of "bad"/),
    })
    expect((await readAll(store, 'good')).entries.length).toBe(2)
  })
})

// The last entry is written again as by another append.
const forgeTail = `
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local fields = last[2]
redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)
redis.call('XSETID', KEYS[2], '0-1')
redis.call('XADD', KEYS[2], last[1], 'm', 'another', 'o', fields[4], 'e', fields[6])
redis.call('HSET', KEYS[1], 'mark', 'another')`

// Entries 2 and 3 are written again, the second with one bit of its last byte turned.
const damageEntry = `
local all = redis.call('XRANGE', KEYS[1], '-', '+')
redis.call('DEL', KEYS[1])
for i, entry in ipairs(all) do
  local record = entry[2][6]
  if i == 2 then record = string.sub(record, 1, -2) .. string.char(bit.bxor(string.byte(record, -1), 1)) end
  redis.call('XADD', KEYS[1], entry[1], 'm', entry[2][2], 'o', entry[2][4], 'e', record)
end`

async function connect(service: RedisService): Promise<Redis> {
  const admin = new Redis(service.url)
  admin.on('error', () => undefined)
  cleanups.push(async () => admin.disconnect())
  await sleep(0)
  return admin
}

function everyIs(code: string): (codes: readonly string[]) => boolean {
  return (codes) => codes.length > 0 && codes.every((other) => other === code)
}

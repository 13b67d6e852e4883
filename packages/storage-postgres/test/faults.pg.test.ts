import type { PolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openPostgresBus, openPostgresStore, type PostgresStoreOptions } from '@polyphony/storage-postgres'
import {
  appendTo,
  collect,
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
  startPostgres,
  type PostgresService,
} from '@polyphony/test-services'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'

const rounds = process.env['POLYPHONY_SOAK'] === '1' ? 30 : 5
const documentIds = ['a', 'b', 'c']
const waitOptions = { timeout: 30_000, interval: 10 }

let service: PostgresService
let schemas = 0
let schema = ''
const cleanups: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  service = await startPostgres()
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  schema = ''
})
afterAll(() => service.stop())

/** Opens a store on a schema that is this test's own; several are nodes that share it. */
async function open(options: PostgresStoreOptions = {}): Promise<DocumentStore> {
  if (schema === '') schema = `test_${++schemas}`
  const store = await openPostgresStore(service.url, {
    schema,
    statementTimeoutMs: 1_000,
    connectTimeoutMs: 1_000,
    pollMs: 500,
    ...options,
  })
  cleanups.push(() => store.close())
  return store
}

async function connect(url = service.url): Promise<Client> {
  const admin = new Client(url)
  await admin.connect()
  admin.on('error', () => undefined)
  cleanups.push(() => admin.end())
  return admin
}

test(`killed ${rounds} times under load: nothing acknowledged is lost, followers miss and repeat nothing`, async () => {
  const [writer, reader] = [await open(), await open()]
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
  expect(new Set(load.failures.map((error) => (error as PolyphonyError).code))).toEqual(
    new Set(['store-failed']),
  )
  await expectAcknowledged(reader, load.acknowledged)
  for (const feed of feeds) await feed.expectWhole()
})

test('paused under load: appends fail in time, and everything goes on when it is resumed', async () => {
  const store = await open()
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

test('connections cut under load: those that are there are replaced, and nothing is lost', async () => {
  const store = await open()
  const feed = await FollowedLog.open(store, 'a')
  const load = new AppendLoad(store, documentIds)
  const admin = await connect()
  for (let round = 0; round < 3; round++) {
    await load.progress(30)
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'polyphony-%'`,
    )
  }
  await load.progress(30)
  await load.stop()
  await expectAcknowledged(store, load.acknowledged)
  await feed.expectWhole()
})

test('a lock that is held for too long fails the document in time, and no other one', async () => {
  const store = await open({ statementTimeoutMs: 300 })
  await appendTo(store, 'locked', sampleEntries(1))
  const admin = await connect()
  await admin.query('BEGIN')
  await admin.query(`SELECT FROM "${schema}".documents WHERE id = 'locked' FOR UPDATE`)
  expect(await refusedAppend(store, { documentId: 'locked', entries: sampleEntries(1) })).toMatchObject({
    code: 'store-failed',
  })
  expect((await appendTo(store, 'free', sampleEntries(1))).last).toBe(1)
  await admin.query('COMMIT')
  expect((await appendTo(store, 'locked', sampleEntries(1))).last).toBe(2)
})

test('two nodes that write the same documents in opposite orders never wait for each other in a circle', async () => {
  const stores = [await open(), await open()]
  const ids = Array.from({ length: 40 }, (_, index) => `doc-${index}`)
  const batches = stores.flatMap((store, index) =>
    Array.from({ length: 20 }, () => {
      const order = index === 0 ? ids : ids.toReversed()
      return store.append(order.map((documentId) => ({ documentId, entries: sampleEntries(2) })))
    }),
  )
  for (const results of await Promise.all(batches)) expect(results.every(({ ok }) => ok)).toBe(true)
  for (const documentId of ids) expect((await stores[0]!.head(documentId))?.revision).toBe(80)
  const { rows } = await (
    await connect()
  ).query<{ deadlocks: string }>('SELECT sum(deadlocks) AS deadlocks FROM pg_stat_database')
  expect(Number(rows[0]?.deadlocks)).toBe(0)
})

describe('a log that lost its tail', () => {
  const loseTail = async (admin: Client): Promise<void> => {
    // What a standby that lagged behind would have.
    await admin.query(`DELETE FROM "${schema}".entries WHERE revision > 5`)
    await admin.query(
      `UPDATE "${schema}".documents SET revision = 5, mark = (SELECT mark FROM "${schema}".entries WHERE revision = 5)`,
    )
  }

  test('is noticed by who follows it, and goes on as a new incarnation', async () => {
    const store = await open()
    const feed = await FollowedLog.open(store, 'doc')
    const { incarnation } = await appendTo(store, 'doc', sampleEntries(5, 'kept'))
    await appendTo(store, 'doc', sampleEntries(5, 'lost'))
    await vi.waitFor(() => expect(feed.entries.length).toBe(10), waitOptions)
    await loseTail(await connect())
    await vi.waitFor(() => expect(feed.ended?.code).toBe('incarnation-mismatch'), waitOptions)
    const head = await store.head('doc')
    expect(head?.revision).toBe(5)
    expect(head?.incarnation).not.toBe(incarnation)
    expect((await appendTo(store, 'doc', sampleEntries(1, 'new'))).first).toBe(6)
    expect(await readTexts(store, 'doc')).toEqual(['kept1', 'kept2', 'kept3', 'kept4', 'kept5', 'new1'])
  })

  test('is noticed by who appends to it, also when others have filled the numbers again', async () => {
    const store = await open({ pollMs: 1e9 })
    await appendTo(store, 'doc', sampleEntries(5, 'kept'))
    const { incarnation } = await appendTo(store, 'doc', sampleEntries(5, 'lost'))
    await loseTail(await connect())
    await appendTo(await open(), 'doc', sampleEntries(8, 'other'))
    const append = { documentId: 'doc', entries: sampleEntries(1, 'next'), incarnation }
    expect(await refusedAppend(store, append)).toMatchObject({ code: 'incarnation-mismatch' })
    expect((await store.head('doc'))?.revision).toBe(13)
    expect((await store.head('doc'))?.incarnation).not.toBe(incarnation)
  })
})

describe('at open', () => {
  test('nodes that start together on an empty database make its tables once', async () => {
    const stores = await Promise.all([open(), open(), open(), open()])
    for (const [index, store] of stores.entries()) await appendTo(store, `doc-${index}`, sampleEntries(1))
    expect((await collect(stores[0].list())).length).toBe(4)
  })

  test('tables of a newer program are refused', async () => {
    await open()
    await (await connect()).query(`UPDATE "${schema}".version SET number = 1000`)
    await expect(open()).rejects.toThrow(/version 1000/)
  })

  test('settings that may take back what was acknowledged are refused unless allowed', async () => {
    const admin = await connect()
    await admin.query('ALTER SYSTEM SET synchronous_commit = off')
    await admin.query('SELECT pg_reload_conf()')
    cleanups.push(async () => {
      const again = new Client(service.url)
      await again.connect()
      await again.query('ALTER SYSTEM RESET synchronous_commit')
      await again.query('SELECT pg_reload_conf()')
      await again.end()
    })
    await vi.waitFor(() => expect(open()).rejects.toThrow(/synchronous_commit off/), waitOptions)
    const store = await open({ allowVolatile: true })
    expect(store.capabilities.survives).toEqual({ processKill: false, powerCut: false, failover: false })
  })

  test('an address without a server fails, and one that is none is a TypeError', async () => {
    await expect(openPostgresStore('postgres://127.0.0.1:1/postgres')).rejects.toMatchObject({
      code: 'store-failed',
    })
    await expect(openPostgresStore('http://localhost')).rejects.toBeInstanceOf(TypeError)
    await expect(openPostgresStore(service.url, { schema: 'Not"a name' })).rejects.toBeInstanceOf(TypeError)
  })
})

test('damaged bytes are found, named, and hurt no other document', async () => {
  const store = await open()
  for (const documentId of ['bad', 'good']) await appendTo(store, documentId, sampleEntries(3))
  const admin = await connect()
  await admin.query(`UPDATE "${schema}".entries e SET record = set_byte(record, 20, get_byte(record, 20) # 1)
    FROM "${schema}".documents d WHERE d.key = e.document AND d.id = 'bad' AND e.revision = 2`)
  await expect(readTexts(store, 'bad')).rejects.toMatchObject({
    code: 'store-corrupt',
    message: expect.stringMatching(/entry 2 of "bad"/),
  })
  await expect(FollowedLog.open(store, 'bad')).rejects.toMatchObject({ code: 'store-corrupt' })
  expect(await readTexts(store, 'good')).toEqual(['1', '2', '3'])
})

test('one document whose values the database refuses does not hurt the others of its batch', async () => {
  const store = await open()
  await appendTo(store, 'ok', sampleEntries(1))
  await appendTo(store, 'bad', sampleEntries(1))
  const admin = await connect()
  await admin.query(`ALTER TABLE "${schema}".documents ADD CHECK (id <> 'bad' OR revision < 2)`)
  const [bad, ok] = await store.append(
    ['bad', 'ok'].map((documentId) => ({ documentId, entries: sampleEntries(1) })),
  )
  expect(bad).toMatchObject({ ok: false, error: { code: 'store-failed' } })
  expect(ok).toMatchObject({ ok: true, last: 2 })
})

test('what nobody refers to any more is removed', async () => {
  const store = await open({ retention: { entries: 5, bytes: 1e9, ageMs: 1e12 } })
  const admin = await connect()
  const count = async (table: string): Promise<number> =>
    Number((await admin.query<{ count: string }>(`SELECT count(*) FROM "${schema}".${table}`)).rows[0]?.count)
  await appendTo(store, 'doc', [...sampleEntries(20), sampleEntry(sampleBytes(400_000))])
  await store.checkpoint('doc', sampleCheckpoint(10, sampleBytes(600_000)))
  await store.checkpoint('doc', sampleCheckpoint(20, sampleBytes(600_000)))
  expect(await count('states')).toBe(2)
  // Five that are covered, and one above.
  await vi.waitFor(async () => expect(await count('entries')).toBe(6), waitOptions)
  // A minute later, as far as the database can tell.
  await admin.query(`UPDATE "${schema}".states SET expires_at = expires_at - interval '2 minutes'`)
  await store.delete('doc')
  await vi.waitFor(
    async () =>
      expect([await count('entries'), await count('garbage'), await count('states')]).toEqual([0, 0, 1]),
    waitOptions,
  )
  await admin.query(`UPDATE "${schema}".states SET expires_at = expires_at - interval '2 minutes'`)
  await (await open()).close()
  await vi.waitFor(
    async () => expect([await count('states'), await count('chunks')]).toEqual([0, 0]),
    waitOptions,
  )
})

test('a checkpoint that was replaced stays readable for those who are reading it', async () => {
  const store = await open()
  await appendTo(store, 'doc', sampleEntries(10))
  await store.checkpoint('doc', sampleCheckpoint(5, sampleBytes(3_000_000, 5)))
  const reading = store.read('doc')[Symbol.asyncIterator]()
  const { value } = await reading.next()
  await store.checkpoint('doc', sampleCheckpoint(8, sampleBytes(100, 8)))
  const parts: Uint8Array[] = []
  for await (const part of value.state) parts.push(part)
  expect(Buffer.concat(parts).equals(sampleBytes(3_000_000, 5))).toBe(true)
  await reading.return?.()
  expect((await readAll(store, 'doc')).checkpoint?.revision).toBe(8)
})

test('the bus carries messages beyond what a notification holds, whole, and drops what is far too large', async () => {
  const [here, there] = [await openPostgresBus(service.url), await openPostgresBus(service.url)]
  cleanups.push(
    () => here.close(),
    () => there.close(),
  )
  const heard: Uint8Array[] = []
  await there.subscribe('topic', (message) => heard.push(message))
  const sizes = [0, 1, 5_879, 5_880, 5_881, 64 << 10, 1 << 20]
  here.publish('topic', sampleBytes((1 << 20) + 1))
  for (const size of sizes) here.publish('topic', sampleBytes(size, size + 1))
  await vi.waitFor(() => expect(heard.length).toBe(sizes.length), waitOptions)
  expect(heard.map(({ length }) => length)).toEqual(sizes)
  for (const [index, size] of sizes.entries())
    expect(Buffer.from(heard[index]!).equals(sampleBytes(size, size + 1))).toBe(true)
})

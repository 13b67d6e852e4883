import type { PolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openPostgresStore } from '@polyphony/storage-postgres'
import { appendTo, readTexts, refusedAppend, sampleEntries } from '@polyphony/storage/testing'
import {
  AppendLoad,
  expectAcknowledged,
  FollowedLog,
  openFaultyLink,
  startPostgres,
  type FaultyLink,
  type PostgresService,
} from '@polyphony/test-services'
import { Client } from 'pg'
import { afterEach, expect, test, vi } from 'vitest'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const isLong = process.env['POLYPHONY_SOAK'] === '1'
const documentIds = ['a', 'b', 'c']
const waitOptions = { timeout: 30_000, interval: 10 }

interface Pair {
  readonly primary: PostgresService
  readonly standby: PostgresService
  /** The address that clients know, as a virtual one or a name of the DNS is. */
  readonly link: FaultyLink
  readonly url: string
}

/** A primary with a streaming standby that has caught up. */
async function startPair(): Promise<Pair> {
  const primary = await startPostgres()
  cleanups.push(() => primary.stop())
  const standby = await startPostgres({ standbyOf: primary })
  cleanups.push(() => standby.stop())
  await query(primary, `SELECT FROM pg_stat_replication WHERE state = 'streaming'`, 1)
  const link = await openFaultyLink(primary.port)
  cleanups.push(() => link.close())
  return { primary, standby, link, url: `postgres://polyphony@127.0.0.1:${link.port}/postgres` }
}

async function open({ url }: Pick<Pair, 'url'>): Promise<DocumentStore> {
  const store = await openPostgresStore(url, {
    statementTimeoutMs: 1_000,
    connectTimeoutMs: 1_000,
    pollMs: 200,
  })
  cleanups.push(() => store.close())
  return store
}

/** Waits until a query gives so many rows. */
async function query(service: PostgresService, text: string, rows: number): Promise<void> {
  const admin = new Client(service.url)
  await admin.connect()
  try {
    await vi.waitFor(async () => expect((await admin.query(text)).rows.length).toBe(rows), waitOptions)
  } finally {
    await admin.end()
  }
}

async function execute(service: PostgresService, ...statements: readonly string[]): Promise<void> {
  const admin = new Client(service.url)
  await admin.connect()
  for (const statement of statements) await admin.query(statement)
  await admin.end()
}

/** The primary dies, the standby takes over, and the address leads to it. */
async function failOver({ primary, standby, link }: Pair): Promise<void> {
  await primary.process.kill()
  await standby.promote()
  link.retarget(standby.port)
}

test('to a synchronous standby under load: nothing acknowledged is lost, and followers miss nothing', async () => {
  const pair = await startPair()
  const setting = `ALTER SYSTEM SET synchronous_standby_names = 'standby'`
  await execute(pair.primary, setting, 'SELECT pg_reload_conf()')
  await query(pair.primary, `SELECT FROM pg_stat_replication WHERE sync_state = 'sync'`, 1)
  const store = await open(pair)
  expect(store.capabilities.survives.failover).toBe(true)
  const feeds = await Promise.all(documentIds.map((documentId) => FollowedLog.open(store, documentId)))
  const load = new AppendLoad(store, documentIds)
  await load.progress(150)
  await failOver(pair)
  await load.progress(60)
  await load.stop()
  expect(new Set(load.failures.map((error) => (error as PolyphonyError).code))).toEqual(
    new Set(['store-failed']),
  )
  await expectAcknowledged(store, load.acknowledged)
  for (const feed of feeds) await feed.expectWhole()
})

test.skipIf(!isLong)('while a synchronous standby is missing, nothing is acknowledged', async () => {
  const primary = await startPostgres({ settings: { synchronous_standby_names: 'nobody' } })
  cleanups.push(() => primary.stop())
  // Making the tables waits for the standby as well.
  await expect(open(primary)).rejects.toMatchObject({ code: 'store-failed' })
})

test('to an asynchronous standby that lags: what is lost is noticed, never silent', async () => {
  const pair = await startPair()
  const store = await open(pair)
  expect(store.capabilities.survives.failover).toBe(false)
  const feeds = await Promise.all(documentIds.map((documentId) => FollowedLog.open(store, documentId)))
  const load = new AppendLoad(store, documentIds)
  await load.progress(60)
  await execute(pair.standby, `ALTER SYSTEM SET primary_conninfo = ''`, 'SELECT pg_reload_conf()')
  await query(pair.primary, 'SELECT FROM pg_stat_replication', 0)
  await load.progress(60)
  await failOver(pair)
  await load.progress(60)
  await load.stop()
  for (const [index, documentId] of documentIds.entries()) {
    await vi.waitFor(() => expect(feeds[index]?.ended?.code).toBe('incarnation-mismatch'), waitOptions)
    const acknowledged = load.acknowledged.filter((entry) => entry.documentId === documentId)
    expect(new Set(acknowledged.map(({ incarnation }) => incarnation)).size).toBe(2)
    const incarnation = (await store.head(documentId))?.incarnation
    // Under the new incarnation everything acknowledged is there; what is lost was acknowledged under the old one.
    const now = acknowledged.filter((entry) => entry.incarnation === incarnation)
    await expectAcknowledged(store, now)
    // Neither an append nor a deletion that means the old one hits the new one.
    const old = { incarnation: acknowledged[0]?.incarnation ?? '' }
    const append = { documentId, entries: sampleEntries(1), ...old }
    expect(await refusedAppend(store, append)).toMatchObject({ code: 'incarnation-mismatch' })
    await expect(store.delete(documentId, old)).rejects.toMatchObject({ code: 'incarnation-mismatch' })
  }
})

test.skipIf(!isLong)(
  'an address that leads to a standby that was not promoted fails edits until it is',
  async () => {
    const pair = await startPair()
    const store = await open(pair)
    await appendTo(store, 'doc', sampleEntries(1))
    await query(pair.standby, `SELECT FROM polyphony.entries`, 1)
    pair.link.retarget(pair.standby.port)
    expect(await refusedAppend(store, { documentId: 'doc', entries: sampleEntries(1) })).toMatchObject({
      code: 'store-failed',
    })
    await pair.primary.process.kill()
    await pair.standby.promote()
    await vi.waitFor(() => appendTo(store, 'doc', sampleEntries(1, 'later')), waitOptions)
    expect((await readTexts(store, 'doc')).at(-1)).toBe('later1')
  },
)

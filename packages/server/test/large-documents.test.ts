import { MemoryStore, encodeUpdateSeries } from '@polyphony/storage'
import { afterEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { compact } from '../src/compaction.ts'
import { openEditor, providers, synced, until, type Editor, type ProviderVersion } from './support/editor.ts'
import { startServer, type TestServer, type TestServerOptions } from './support/http.ts'
import { RawClient } from './support/raw-client.ts'

/** 100 MB in the long tier; otherwise just so large that nothing of it is done at once. */
const isLong = process.env['POLYPHONY_SOAK'] === '1'
const strings = isLong ? 10_000 : 800
const entries = isLong ? 200_000 : 30_000

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Long strings and many small members, some of them deleted. */
function largeDocument(): Y.Doc {
  const doc = new Y.Doc()
  doc.transact(() => {
    const state = doc.getMap('state')
    for (let index = 0; index < strings; index++)
      state.set(`text ${index}`, `${index} `.repeat(2_000).slice(0, 9_000))
    const rows = new Y.Array<Y.Map<unknown>>()
    state.set('rows', rows)
    rows.push(
      Array.from(
        { length: entries / 3 },
        (_, index) =>
          new Y.Map([
            ['id', index],
            ['on', true],
          ] as [string, unknown][]),
      ),
    )
    rows.delete(5, 1_000)
  })
  return doc
}

async function storeOf(documents: Readonly<Record<string, Y.Doc>>): Promise<MemoryStore> {
  const store = new MemoryStore()
  for (const [documentId, doc] of Object.entries(documents)) {
    const update = Y.encodeStateAsUpdate(doc)
    await store.append([{ documentId, entries: [{ update, meta: { author: 'test', committedAtMs: 0 } }] }])
    const { pieces, stateVector } = compact([update])
    expect(pieces.length).toBeGreaterThan(5)
    const state = encodeUpdateSeries(pieces.map((piece) => piece.update))
    await store.checkpoint(documentId, { revision: 1, stateVector, state })
  }
  return store
}

async function serve(options: TestServerOptions): Promise<TestServer> {
  const server = await startServer(options)
  cleanups.push(() => server.close())
  return server
}

function edit(
  server: TestServer,
  documentId: string,
  options: Parameters<typeof openEditor>[2] = {},
): Editor {
  const editor = openEditor(server.url, documentId, options)
  cleanups.push(() => editor.close())
  return editor
}

const timeout = { timeout: isLong ? 300_000 : 60_000 }

describe('large documents', timeout, () => {
  test.each(Object.keys(providers) as ProviderVersion[])(
    'stock provider %s joins while others edit, and comes back for what it lacks',
    async (version) => {
      const original = largeDocument()
      const server = await serve({ store: await storeOf({ large: original }) })
      const writer = edit(server, 'large', { doc: original })
      await synced(writer)
      const joiner = edit(server, 'large', { version })
      let count = 0
      const timer = setInterval(() => original.getMap('state').set('count', ++count), 5)
      await synced(joiner).finally(() => clearInterval(timer))
      await until('both to be equal', () => joiner.doc.getMap('state').get('count') === count)
      expect(count).toBeGreaterThan(0)
      expect(joiner.doc.store.pendingStructs).toBeNull()
      expect(joiner.doc.getMap('state').toJSON()).toEqual(original.getMap('state').toJSON())
      joiner.provider.disconnect()
      original.getMap('state').set('late', 'x')
      joiner.doc.getMap('state').set('offline', 'y')
      joiner.provider.connect()
      await until('both to have both', () => {
        const states = [original, joiner.doc].map((doc) => doc.getMap('state'))
        return states.every((state) => state.get('late') === 'x' && state.get('offline') === 'y')
      })
    },
  )

  test('a client that broke off is sent only the rest', async () => {
    const original = largeDocument()
    const server = await serve({ store: await storeOf({ large: original }) })
    const half = new Y.Doc()
    const { pieces } = compact([Y.encodeStateAsUpdate(original)])
    for (const { update } of pieces.slice(0, pieces.length / 2)) Y.applyUpdate(half, update)
    const client = await RawClient.connect(server.url, '/sync/large')
    cleanups.push(() => client.close())
    client.sendStepOne(Y.encodeStateVector(half))
    await client.received('step 2', () => client.sync(1).length > 0)
    const updates = client.sync(2)
    const bytes = updates.reduce((sum, { payload }) => sum + payload.length, 0)
    const whole = pieces.reduce((sum, { update }) => sum + update.length, 0)
    expect(bytes).toBeLessThan(whole * 0.6)
    for (const { payload } of updates) Y.applyUpdate(half, payload)
    expect(half.getMap('state').toJSON()).toEqual(original.getMap('state').toJSON())
  })

  test('is read, watched and patched from cold, while others write', async () => {
    const original = largeDocument()
    const server = await serve({ store: await storeOf({ large: original }) })
    const expected = original.getMap('state').toJSON()
    const address = server.address('large')
    const [got, patched] = await Promise.all([
      fetch(address).then(async (response) => (await response.json()) as Record<string, unknown>),
      fetch(address, {
        method: 'PATCH',
        headers: { 'content-type': 'application/json-patch+json' },
        body: JSON.stringify([{ op: 'add', path: '/rows/0/on', value: false }]),
      }),
    ])
    expect(patched.status).toBe(200)
    expect({ ...got, rows: (got['rows'] as unknown[]).slice(1) }).toEqual({
      ...expected,
      rows: (expected['rows'] as unknown[]).slice(1),
    })
    const row = await fetch(`${address}?path=/rows/0`).then((response) => response.json())
    expect(row).toEqual({ id: 0, on: false })
  })

  test('checkpoints beyond the budget are let go of, and read again for whoever joins', async () => {
    const original = largeDocument()
    const other = largeDocument()
    const store = await storeOf({ large: original, other })
    const server = await serve({ store, limits: { checkpointMemoryBytesMax: 1 << 20 } })
    const large = await server.rooms.enter('large')
    cleanups.push(large.leave)
    const writer = edit(server, 'large')
    await synced(writer)
    writer.doc.getMap('state').set('late', 'x')
    expect(large.room.log.base.pieces).toBeDefined()
    await synced(edit(server, 'other'))
    expect(large.room.log.base.pieces).toBeUndefined()
    await until('the edit to be stored', () => large.room.revision === 2)
    const joiner = edit(server, 'large')
    await synced(joiner)
    expect(joiner.doc.getMap('state').toJSON()).toEqual({ ...original.getMap('state').toJSON(), late: 'x' })
    expect(large.room.log.base.pieces).toBeDefined()
  })

  test('a checkpoint is made in pieces by the thread, and the next room starts from them', async () => {
    const store = new MemoryStore()
    const original = largeDocument()
    const server = await serve({ store })
    const writer = edit(server, 'large', { doc: original })
    await synced(writer)
    await until('the document to be stored', async () => (await store.head('large'))?.revision !== undefined)
    // Enough for a checkpoint by size.
    for (let index = 0; index < 10; index++)
      original.getMap('state').set(`more ${index}`, 'x'.repeat(500_000))
    const { room, leave } = await server.rooms.enter('large')
    await until('a checkpoint', () => room.log.base.revision > 0)
    expect(room.log.base.clocks.length).toBeGreaterThan(5)
    leave()
    await server.close()
    const again = await serve({ store: new MemoryStore({ disk: store.disk }) })
    const joiner = edit(again, 'large')
    await synced(joiner)
    expect(joiner.doc.getMap('state').toJSON()).toEqual(original.getMap('state').toJSON())
  })
})

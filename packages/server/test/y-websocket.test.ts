import { resolveLimits, type LimitName } from '@polyphony/core'
import { MemoryStore } from '@polyphony/storage'
import { afterEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { createPolyphonyServer, type PolyphonyServer } from '../src/server.ts'
import { openEditor, providers, synced, until, type Editor, type ProviderVersion } from './support/editor.ts'
import { GatedStore } from './support/gated-store.ts'
import { RawClient } from './support/raw-client.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function start(
  options: { limits?: Partial<Record<LimitName, number>> } = {},
): Promise<{ server: PolyphonyServer; gate: GatedStore }> {
  const gate = new GatedStore(new MemoryStore())
  const server = await createPolyphonyServer({
    store: gate.store,
    port: 0,
    limits: resolveLimits(options.limits),
  })
  cleanups.push(() => server.close(2_000))
  return { server, gate }
}

function edit(
  server: PolyphonyServer,
  documentId: string,
  options: Parameters<typeof openEditor>[2] = {},
): Editor {
  const editor = openEditor(server.url, documentId, options)
  cleanups.push(() => editor.close())
  return editor
}

async function raw(server: PolyphonyServer, path: string): Promise<RawClient> {
  const client = await RawClient.connect(server.url, path)
  cleanups.push(() => client.close())
  return client
}

async function headOf(gate: GatedStore, documentId: string): Promise<number> {
  return (await gate.store.head(documentId))?.revision ?? 0
}

/** The updates that a document's edits emit, one by one. */
function updatesOf(task: (doc: Y.Doc) => void, doc = new Y.Doc()): Uint8Array[] {
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  task(doc)
  return updates
}

describe.each(Object.keys(providers) as ProviderVersion[])('stock provider %s', (version) => {
  test('edits merge, and presence comes and goes', async () => {
    const { server } = await start()
    const one = edit(server, 'notes/a b', { version })
    const two = edit(server, 'notes/a b', { version: '3.1.0' })
    await synced(one, two)
    one.doc.getText('text').insert(0, 'hello ')
    two.doc.getText('text').insert(0, 'world ')
    one.provider.awareness.setLocalState({ name: 'one' })
    await until('texts to be equal', () => {
      const text = one.doc.getText('text').toJSON()
      return text.length === 12 && text === two.doc.getText('text').toJSON()
    })
    await until('presence', () =>
      [...two.provider.awareness.getStates().values()].some(
        (state) => JSON.stringify(state) === '{"name":"one"}',
      ),
    )
    one.close()
    await until('presence to end', () => two.provider.awareness.getStates().size === 1)
  })

  test('a late joiner gets the whole document, and one that was away what it lacks', async () => {
    const { server } = await start()
    const one = edit(server, 'late', { version })
    await synced(one)
    for (let i = 0; i < 300; i++) one.doc.getText('text').insert(i, 'x')
    one.doc.getText('text').delete(0, 100)
    await until(
      '200 characters on the server',
      async () => (await stateOf(server, 'late')).getText('text').length === 200,
    )
    const two = edit(server, 'late', { version })
    await synced(two)
    expect(two.doc.getText('text').length).toBe(200)
    two.provider.disconnect()
    one.doc.getText('text').insert(0, 'while away')
    two.doc.getText('text').insert(200, ' offline')
    two.provider.connect()
    await until(
      'both to converge',
      () =>
        one.doc.getText('text').length === 218 &&
        two.doc.getText('text').toJSON() === one.doc.getText('text').toJSON(),
    )
  })
})

async function stateOf(server: PolyphonyServer, documentId: string): Promise<Y.Doc> {
  const handle = await server.documents.open(documentId)
  const doc = new Y.Doc()
  for (const update of await handle.encode()) Y.applyUpdate(doc, update)
  handle.release()
  return doc
}

describe('commit, then apply', () => {
  test('nothing is shown or acknowledged before it is durable', async () => {
    const { server, gate } = await start()
    const writer = await raw(server, '/sync/doc')
    const reader = edit(server, 'doc')
    await synced(reader)
    gate.hold()
    const update = updatesOf((doc) => doc.getText('text').insert(0, 'secret'))[0]!
    writer.sendUpdate(update)
    await until('the append to be under way', () => gate.appends.length === 1)
    const joiner = edit(server, 'doc')
    await synced(joiner)
    expect(joiner.doc.getText('text').length).toBe(0)
    expect(reader.doc.getText('text').length).toBe(0)
    expect((await stateOf(server, 'doc')).getText('text').length).toBe(0)
    expect(writer.sync(2)).toEqual([])
    gate.release()
    await writer.received('its echo', (client) => client.sync(2).length === 1)
    expect(writer.sync(2)[0]?.payload).toEqual(update)
    await until(
      'readers to have it',
      () =>
        reader.doc.getText('text').toJSON() === 'secret' && joiner.doc.getText('text').toJSON() === 'secret',
    )
  })

  test('an append that fails is tried again with the same bytes, in order, and everything arrives', async () => {
    const { server, gate } = await start()
    const one = edit(server, 'doc')
    const two = edit(server, 'doc')
    await synced(one, two)
    gate.failures = 3
    one.doc.getText('text').insert(0, 'a')
    await until('a failure', () => gate.failures < 3)
    one.doc.getText('text').insert(1, 'b')
    await until('both to have it', () => two.doc.getText('text').toJSON() === 'ab')
    expect(gate.appends[1]?.[0]?.entries[0]?.update).toEqual(gate.appends[0]?.[0]?.entries[0]?.update)
  })

  test('an append whose fate is unknown is repeated without harm', async () => {
    const { server, gate } = await start()
    const one = edit(server, 'doc')
    await synced(one)
    gate.failAfterwards = true
    gate.failures = 2
    one.doc.getText('text').insert(0, 'once')
    await until(
      'it to be there',
      async () => (await stateOf(server, 'doc')).getText('text').toJSON() === 'once',
    )
    const handle = await server.documents.open('doc')
    expect(await handle.read((view) => view.read({ pointer: '/text' }))).toBe('once')
    handle.release()
  })

  test('Y-Sweet’s message 102 comes back once what was sent before it is durable', async () => {
    const { server, gate } = await start()
    const client = await raw(server, '/sync/doc')
    gate.hold()
    client.sendUpdate(updatesOf((doc) => doc.getText('text').insert(0, 'x'))[0]!)
    client.send(102, new Uint8Array([7]))
    await until('the append to be under way', () => gate.appends.length === 1)
    expect(client.messages.some(({ type }) => type === 102)).toBe(false)
    gate.release()
    await client.received('message 102', ({ messages }) =>
      messages.some(({ type, payload }) => type === 102 && payload[0] === 7),
    )
  })
})

describe('rules of the log', () => {
  test('1,000 reconnects of an up-to-date client leave the head where it was', async () => {
    const { server, gate } = await start()
    const one = edit(server, 'doc')
    await synced(one)
    for (let i = 0; i < 50; i++) one.doc.getText('text').insert(0, 'word ')
    for (let i = 0; i < 20; i++) one.doc.getText('text').delete(i, 2)
    await until(
      'everything to be stored',
      async () => (await stateOf(server, 'doc')).getText('text').length === 210,
    )
    const head = await headOf(gate, 'doc')
    const stepTwo = Y.encodeStateAsUpdate(one.doc, Y.encodeStateVector(one.doc))
    const whole = Y.encodeStateAsUpdate(one.doc)
    for (let i = 0; i < 1_000; i += 50) {
      const clients = await Promise.all(
        Array.from({ length: 50 }, () => RawClient.connect(server.url, '/sync/doc')),
      )
      for (const client of clients) {
        client.sendStepOne(Y.encodeStateVector(one.doc))
        // Every other one repeats its whole history.
        client.sendStepTwo(clients.indexOf(client) % 2 === 0 ? stepTwo : whole)
      }
      await Promise.all(
        clients.map((client) =>
          client.received(
            'step 2 and acknowledgement',
            () => client.sync(1).length === 1 && client.sync(2).length >= 1,
          ),
        ),
      )
      for (const client of clients) client.close()
    }
    expect(await headOf(gate, 'doc')).toBe(head)
  })

  test('an update whose dependencies are missing is held, asked about, and committed when they come', async () => {
    const { server, gate } = await start()
    const updates = updatesOf((doc) => {
      doc.getText('text').insert(0, 'first ')
      doc.getText('text').insert(6, 'second')
    }) as [Uint8Array, Uint8Array]
    const early = await raw(server, '/sync/doc')
    await early.received('the first step 1', (client) => client.sync(0).length === 1)
    early.sendUpdate(updates[1])
    await early.received('a step 1 that asks for more', (client) => client.sync(0).length === 2)
    expect(gate.appends).toEqual([])
    expect(early.sync(2)).toEqual([])
    const other = await raw(server, '/sync/doc')
    other.sendUpdate(updates[0])
    await early.received('the echo of the held update', (client) =>
      client
        .sync(2)
        .some(
          ({ payload }) =>
            payload.length === updates[1].length && payload.every((byte, i) => byte === updates[1][i]),
        ),
    )
    expect((await stateOf(server, 'doc')).getText('text').toJSON()).toBe('first second')
  })

  test('a client that was offline for 10,000 edits comes back with all of them', async () => {
    const { server } = await start()
    const one = edit(server, 'doc')
    await synced(one)
    one.doc.getText('text').insert(0, 'base')
    const offline = edit(server, 'doc', { connect: false })
    for (let i = 0; i < 10_000; i++) offline.doc.getText('text').insert(i, 'o')
    offline.provider.connect()
    await until(
      'both to converge',
      () =>
        one.doc.getText('text').length === 10_004 &&
        one.doc.getText('text').toJSON() === offline.doc.getText('text').toJSON(),
    )
  })

  test('a document that is deleted while open ends its sessions with a code, and stays deleted', async () => {
    const { server } = await start()
    const client = await raw(server, '/sync/doc')
    client.sendUpdate(updatesOf((doc) => doc.getText('text').insert(0, 'x'))[0]!)
    await client.received('its echo', () => client.sync(2).length === 1)
    await server.documents.delete('doc')
    await client.received('to be closed', () => client.closed !== undefined)
    expect(client.closed).toEqual({ code: 4410, reason: 'document-deleted' })
    expect(client.messages.find(({ type }) => type === 2)?.text).toMatch(/document-deleted/)
    const again = await raw(server, '/sync/doc')
    await again.received('to be refused', () => again.closed !== undefined)
    expect(again.closed?.code).toBe(4410)
    await server.documents.create('doc')
    const fresh = edit(server, 'doc')
    await synced(fresh)
    expect(fresh.doc.getText('text').length).toBe(0)
  })

  test('a log of many entries becomes a checkpoint, and goes on from it', async () => {
    const { server, gate } = await start()
    const client = await raw(server, '/sync/doc')
    const doc = new Y.Doc()
    const updates = updatesOf((each) => {
      for (let i = 0; i < 600; i++) each.getText('text').insert(i, 'x')
    }, doc)
    for (const [i, update] of updates.entries()) {
      client.sendUpdate(update)
      // One entry each: an update that waits alone is not merged with others.
      await client.received('its echo', () => client.sync(2).length === i + 1)
    }
    await until('a checkpoint', async () => {
      for await (const item of gate.store.read('doc', { after: 0 }))
        return 'state' in item || (await headOf(gate, 'doc')) === 600
      return false
    })
    const joiner = edit(server, 'doc')
    await synced(joiner)
    expect(joiner.doc.getText('text').length).toBe(600)
  })
})

describe('bad input', () => {
  test.each([
    ['an unknown message', new Uint8Array([9]), 4400, 'invalid-frame'],
    ['an unknown sync message', new Uint8Array([0, 7, 0]), 4400, 'invalid-frame'],
    ['a truncated frame', new Uint8Array([0, 2, 200, 1, 2]), 4400, 'invalid-frame'],
    ['bytes that are no update', new Uint8Array([0, 2, 4, 1, 2, 3, 200]), 4400, 'invalid-update'],
    ['a state vector that is none', new Uint8Array([0, 0, 2, 5, 1]), 4400, 'invalid-frame'],
    [
      'a claim on a million clocks',
      new Uint8Array([0, 2, 9, 1, 1, 5, 0, 0, 192, 132, 61, 0]),
      4413,
      'update-too-large',
    ],
    ['awareness that is no JSON', new Uint8Array([1, 5, 1, 3, 0, 1, 120]), 4400, 'invalid-frame'],
  ])('%s ends the session with a code, and nobody else notices', async (_what, frame, code, reason) => {
    const { server, gate } = await start()
    const bystander = edit(server, 'doc')
    await synced(bystander)
    const client = await raw(server, '/sync/doc')
    client.socket.send(frame)
    await client.received('to be closed', () => client.closed !== undefined)
    expect(client.closed).toEqual({ code, reason })
    expect(client.messages.find(({ type }) => type === 2)?.text).toContain(reason)
    bystander.doc.getText('text').insert(0, 'still here')
    await until('the bystander to be served', async () => (await headOf(gate, 'doc')) === 1)
  })

  test('a live frame over its limit is refused, a step 2 of the same size is not', async () => {
    const { server } = await start({ limits: { frameBytesMax: 10_000 } })
    const update = updatesOf((doc) => doc.getText('text').insert(0, 'x'.repeat(20_000)))[0]!
    const live = await raw(server, '/sync/doc')
    live.sendUpdate(update)
    await live.received('to be closed', () => live.closed !== undefined)
    expect(live.closed).toEqual({ code: 1009, reason: 'frame-too-large' })
    const back = await raw(server, '/sync/doc')
    back.sendStepTwo(update)
    await back.received('its echo', () => back.sync(2).length === 1)
  })

  test('an update under the server’s own client id is refused', async () => {
    const { server } = await start()
    const handle = await server.documents.open('doc')
    await handle.edit({ author: 'agent' }, (view) => view.apply([{ op: 'add', path: '/n', value: 1 }]))
    const doc = await stateOf(server, 'doc')
    handle.release()
    doc.clientID = [...doc.store.clients.keys()][0]!
    const forged = updatesOf((each) => each.getMap('state').set('n', 'forged'), doc)[0]!
    const client = await raw(server, '/sync/doc')
    client.sendUpdate(forged)
    await client.received('to be closed', () => client.closed !== undefined)
    expect(client.closed?.reason).toBe('invalid-update')
  })

  test('a queue that is full ends the session with 1013, and keeps what it has', async () => {
    const { server, gate } = await start({ limits: { queueBytesMax: 1_000 } })
    const client = await raw(server, '/sync/doc')
    gate.hold()
    const doc = new Y.Doc()
    const updates = updatesOf((each) => {
      for (let i = 0; i < 100; i++) each.getText('text').insert(i * 10, '0123456789')
    }, doc)
    for (const update of updates) client.sendUpdate(update)
    await client.received('to be closed', () => client.closed !== undefined)
    expect(client.closed).toEqual({ code: 1013, reason: 'overloaded' })
    gate.release()
    const back = await raw(server, '/sync/doc')
    back.sendStepTwo(Y.mergeUpdates(updates.slice(0, 40)))
    await until(
      'what it sent first',
      async () => (await stateOf(server, 'doc')).getText('text').length >= 400,
    )
  })
})

import { MemoryDisk, MemoryStore } from '@polyphony/storage'
import { jwtAuthorizer } from '@polyphony/server'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { openDocument, type OpenDocumentOptions, type PolyphonyDocument } from '../src/index.ts'
import { RestartableServer, fastClock, includes } from './support/server.ts'

const servers: RestartableServer[] = []
const documents: PolyphonyDocument[] = []

afterEach(async () => {
  await Promise.all(documents.splice(0).map((document) => document.close()))
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

async function startServer(...args: ConstructorParameters<typeof RestartableServer>) {
  const server = await new RestartableServer(...args).start()
  servers.push(server)
  return server
}

function open(server: RestartableServer, options: Partial<OpenDocumentOptions> = {}): PolyphonyDocument {
  const document = openDocument({ url: server.url, documentId: 'plan', clock: fastClock, ...options })
  documents.push(document)
  return document
}

const add = (path: string, value: number | string) => [{ op: 'add', path, value }] as const

describe('a document', () => {
  it('is edited by patch and by recipe, and saved once the server has committed it', async () => {
    const server = await startServer()
    const ada = open(server)
    const bob = open(server)
    expect(ada.status).toMatchObject({ saved: false, savedLocally: false, loaded: false })
    await ada.whenOnline()
    ada.change(add('/title', 'Trip'))
    expect(ada.status).toMatchObject({ connection: 'online', saved: false, pending: 1 })
    await ada.whenSaved()
    expect((await server.committed('plan')).getMap('state').toJSON()).toEqual({ title: 'Trip' })
    await vi.waitFor(() => expect(bob.value).toEqual({ title: 'Trip' }))
    expect(bob.status).toMatchObject({ saved: true, pending: 0 })
    bob.change((draft) => {
      Object.assign(draft as object, { days: [1, 2] })
    })
    bob.change(() => 3, { pointer: '/days/1' })
    await vi.waitFor(() => expect(ada.get('/days/1')).toBe(3))
    expect(ada.get('/days/7')).toBeUndefined()
  })

  it('says nothing is saved while the server cannot be reached, and sends it when it can', async () => {
    const server = await startServer()
    await server.stop()
    const ada = open(server)
    ada.change(add('/title', 'offline'))
    const { error } = await ada.when(({ connection }) => connection === 'offline')
    expect(error).toMatchObject({ code: 'unreachable', message: expect.stringContaining(server.url) })
    expect(ada.status).toMatchObject({ saved: false, pending: 1, savedLocally: false })
    await server.start()
    await ada.whenSaved()
    expect(includes(await server.committed('plan'), ada.doc)).toBe(true)
    expect(ada.status).toMatchObject({ connection: 'online', error: undefined })
  })

  it('notices that an edit was committed although the connection broke before the echo', async () => {
    const server = await startServer()
    const ada = open(server)
    await ada.whenOnline()
    ada.change(add('/a', 1))
    ada.disconnect()
    expect(ada.status).toMatchObject({ connection: 'offline', saved: false, error: undefined })
    await vi.waitFor(async () =>
      expect((await server.committed('plan')).getMap('state').toJSON()).toEqual({ a: 1 }),
    )
    expect(ada.status.saved).toBe(false)
    ada.connect()
    await ada.whenSaved()
  })

  it('tells listeners of a pointer only what changed there', async () => {
    const server = await startServer()
    const ada = open(server)
    const heard: unknown[] = []
    ada.change([
      { op: 'add', path: '/a', value: { n: 1 } },
      { op: 'add', path: '/b', value: 1 },
    ])
    ada.subscribe('/a', (value) => heard.push(value))
    const before = ada.get('/a')
    ada.change(add('/b', 2))
    expect(heard).toEqual([])
    expect(ada.get('/a')).toBe(before)
    ada.change(add('/a/n', 2))
    expect(heard).toEqual([{ n: 2 }])
  })

  it('shows who is there', async () => {
    const server = await startServer()
    const ada = open(server)
    const bob = open(server)
    ada.presence.set({ name: 'Ada' })
    bob.presence.set({ name: 'Bob' })
    await vi.waitFor(() => {
      const names = ada.presence.clients.filter(({ isSelf }) => !isSelf).map(({ state }) => state['name'])
      expect(names).toEqual(['Bob'])
    })
    await bob.close()
    await vi.waitFor(() => expect(ada.presence.clients).toHaveLength(1))
  })
})

describe('the local copy', () => {
  it('opens without a server, with what was edited before, and sends it later', async () => {
    const server = await startServer()
    const store = new MemoryStore()
    const first = open(server, { store })
    await first.whenOnline()
    first.change(add('/a', 1))
    await first.whenSaved()
    await server.stop()
    first.change(add('/b', 2))
    await first.when(({ savedLocally }) => savedLocally)
    await first.close()

    const second = open(server, { store })
    await second.whenLoaded()
    expect(second.value).toEqual({ a: 1, b: 2 })
    expect(second.status).toMatchObject({ saved: false, pending: 1, savedLocally: true })
    await server.start()
    await second.whenSaved()
    expect((await server.committed('plan')).getMap('state').toJSON()).toEqual({ a: 1, b: 2 })
    await second.close()

    await server.stop()
    const third = open(server, { store })
    await third.whenLoaded()
    expect(third.status).toMatchObject({ saved: true, pending: 0, savedLocally: true })
    expect(third.value).toEqual({ a: 1, b: 2 })
  })

  it('keeps what is pending apart through checkpoints', async () => {
    const server = await startServer()
    const store = new MemoryStore({ retention: { entries: 0, bytes: 0, ageMs: 0 } })
    const options = { store, checkpointEntries: 5 }
    const first = open(server, options)
    await first.whenOnline()
    for (let n = 0; n < 12; n++) {
      first.change(add('/saved', n))
      await first.when(({ savedLocally }) => savedLocally)
    }
    await first.whenSaved()
    await server.stop()
    for (let n = 0; n < 12; n++) {
      first.change(add('/offline', n))
      await first.when(({ savedLocally }) => savedLocally)
    }
    const { pending } = first.status
    await first.close()
    const documentIds: string[] = []
    for await (const { documentId } of store.list()) documentIds.push(documentId)
    let items = 0
    for await (const _ of store.read(documentIds[0] ?? '')) items++
    expect(items).toBeLessThan(12)
    const second = open(server, options)
    await second.whenLoaded()
    expect(second.status).toMatchObject({ pending, saved: false })
    expect(second.value).toEqual({ saved: 11, offline: 11 })
  })

  it('belongs to one user, one server and one document', async () => {
    const server = await startServer()
    const other = await startServer()
    const store = new MemoryStore()
    const ada = open(server, { store, principal: 'ada', connect: false })
    ada.change(add('/secret', 1))
    await ada.when(({ savedLocally }) => savedLocally)
    const strangers = [
      open(server, { store, principal: 'bob', connect: false }),
      open(server, { store, principal: 'ada', documentId: 'other', connect: false }),
      open(other, { store, principal: 'ada', connect: false }),
    ]
    for (const stranger of strangers) {
      await stranger.whenLoaded()
      expect(stranger.value).toEqual({})
    }
    expect(() => open(server, { store, token: 'x' })).toThrow(TypeError)
  })

  it('goes on in memory when the store fails, says so, and catches up', async () => {
    const server = await startServer()
    const disk = new MemoryDisk()
    let broken = true
    const store = new Proxy(new MemoryStore({ disk }), {
      get: (target, key) => {
        if (key === 'append' && broken) return () => Promise.reject(new Error('The disk is full.'))
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const ada = open(server, { store })
    ada.change(add('/a', 1))
    await ada.when(({ localError }) => localError !== undefined)
    await ada.whenSaved()
    expect(ada.status).toMatchObject({ savedLocally: false })
    expect(ada.status.localError).toMatchObject({ code: 'store-failed' })
    broken = false
    await ada.when(({ savedLocally }) => savedLocally)
    expect(ada.status.localError).toBeUndefined()
    await ada.close()
    await server.stop()
    const again = open(server, { store: new MemoryStore({ disk }) })
    await again.whenLoaded()
    expect(again.value).toEqual({ a: 1 })
    expect(again.status.saved).toBe(true)
  })

  it('has, once closed, what was edited before it was read', async () => {
    const server = await startServer()
    const disk = new MemoryDisk()
    const inner = new MemoryStore({ disk })
    const ada = open(server, { store: inner, connect: false })
    ada.change(add('/a', 1))
    await ada.close()
    await inner.close()
    const again = open(server, { store: new MemoryStore({ disk }), connect: false })
    await again.whenLoaded()
    expect(again.value).toEqual({ a: 1 })
    expect(again.status.pending).toBe(1)
  })

  it('that cannot be removed is not called saved', async () => {
    const server = await startServer()
    let broken = true
    const store = new Proxy(new MemoryStore(), {
      get: (target, key) => {
        if (key === 'delete' && broken) return () => Promise.reject(new Error('The disk is gone.'))
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const ada = open(server, { store, connect: false })
    await ada.whenLoaded()
    await expect(ada.clearLocal()).rejects.toThrow('The disk is gone.')
    ada.change(add('/a', 1))
    expect(ada.status.savedLocally).toBe(false)
    broken = false
    await ada.clearLocal()
    expect(ada.status.savedLocally).toBe(false)
  })

  it('is removed on demand', async () => {
    const server = await startServer()
    const store = new MemoryStore()
    const ada = open(server, { store })
    ada.change(add('/a', 1))
    await ada.whenSaved()
    await ada.clearLocal()
    expect(ada.status.savedLocally).toBe(false)
    expect(ada.value).toEqual({ a: 1 })
    await ada.close()
    await server.stop()
    const again = open(server, { store })
    await again.whenLoaded()
    expect(again.value).toEqual({})
    again.change(add('/b', 1))
    await again.when(({ savedLocally }) => savedLocally)
  })
})

describe('refusals', () => {
  const secret = 'a secret that is long enough for HS256'
  const authorize = jwtAuthorizer({ secret })
  const token = (access: 'read' | 'write', lifetimeS = 600) =>
    new SignJWT({ documents: ['**'], access })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('ada')
      .setExpirationTime(Math.floor(Date.now() / 1000) + lifetimeS)
      .sign(new TextEncoder().encode(secret))

  it('stops where trying again is pointless, with a typed error', async () => {
    const server = await startServer({ authorize })
    const ada = open(server, { token: 'nonsense', store: 'memory' })
    const { error } = await ada.when(({ connection }) => connection === 'refused')
    expect(error).toMatchObject({ code: 'unauthorized', details: { documentId: 'plan' } })
  })

  it('asks for a new token when one is refused', async () => {
    const server = await startServer({ authorize })
    const tokens = ['nonsense', await token('write')]
    const asked = vi.fn(() => tokens.shift() ?? 'none')
    const ada = open(server, { token: asked, store: 'memory' })
    ada.change(add('/a', 1))
    await ada.whenSaved()
    expect(asked).toHaveBeenCalledTimes(2)
    expect(ada.status.error).toBeUndefined()
  })

  it('gives up on a function that only has refused tokens', async () => {
    const server = await startServer({ authorize })
    const asked = vi.fn(() => 'nonsense')
    const ada = open(server, { token: asked, store: 'memory' })
    await ada.when(({ connection }) => connection === 'refused')
    expect(asked).toHaveBeenCalledTimes(3)
    expect(ada.status.error).toMatchObject({ code: 'unauthorized' })
  })

  it('tries again when the token function fails', async () => {
    const server = await startServer({ authorize })
    const write = await token('write')
    let failures = 2
    const ada = open(server, {
      store: 'memory',
      token: () => {
        if (failures-- > 0) throw new Error('The identity provider is down.')
        return write
      },
    })
    const { error } = await ada.when((status) => status.error !== undefined)
    expect(error?.message).toBe('The identity provider is down.')
    await ada.whenOnline()
  })

  it('does not call anything saved that a reader has edited', async () => {
    const server = await startServer({ authorize })
    const ada = open(server, { token: await token('read'), store: 'memory', connect: false })
    ada.change(add('/offline', 1))
    ada.connect()
    await ada.when(({ access }) => access === 'read')
    expect(ada.status).toMatchObject({ saved: false, pending: 1, connection: 'online' })
    expect(() => ada.change(add('/a', 1))).toThrow(expect.objectContaining({ code: 'forbidden' }))
    ada.doc.getMap('state').set('more', 1)
    expect(ada.status).toMatchObject({ saved: false, pending: 2 })
  })

  it('are told to whoever waits for what cannot come about', async () => {
    const server = await startServer({ authorize })
    const stranger = open(server, { token: 'nonsense', store: 'memory' })
    stranger.change(add('/a', 1))
    const waiting = [stranger.whenOnline(), stranger.whenSaved()]
    for (const promise of waiting) await expect(promise).rejects.toMatchObject({ code: 'unauthorized' })
    const reader = open(server, { token: await token('read'), store: 'memory', connect: false })
    reader.change(add('/a', 1))
    reader.connect()
    await expect(reader.whenSaved()).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('end with the document: who still waits is told, and it does not come back', async () => {
    const server = await startServer()
    const ada = open(server, { connect: false })
    ada.change(add('/a', 1))
    const waiting = expect(ada.whenSaved()).rejects.toMatchObject({ code: 'invalid-request' })
    await ada.close()
    await waiting
    expect(() => ada.change(add('/b', 1))).toThrow(expect.objectContaining({ code: 'invalid-request' }))
    ada.connect()
    expect(ada.status.connection).toBe('offline')
  })

  it('stops when the document is deleted', async () => {
    const server = await startServer()
    const ada = open(server)
    ada.change(add('/a', 1))
    await ada.whenSaved()
    await server.documents.delete('plan')
    await ada.when(({ connection }) => connection === 'refused')
    expect(ada.status.error).toMatchObject({ code: 'document-deleted' })
  })

  it('refuses an address that is none', () => {
    expect(() => openDocument({ url: 'ftp://x', documentId: 'a' })).toThrow(
      expect.objectContaining({ code: 'invalid-request' }),
    )
  })
})

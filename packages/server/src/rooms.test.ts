import {
  PolyphonyError,
  resolveLimits,
  silentLogger,
  silentTelemetry,
  type LimitName,
  type Logger,
} from '@polyphony/core'
import { MemoryStore, type DocumentStore } from '@polyphony/storage'
import type { JsonView } from '@polyphony/translator'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { beforeEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { SeededRandom } from '../test/simulation/seeded-random.ts'
import { VirtualClock } from '../test/simulation/virtual-clock.ts'
import { compact } from './compaction.ts'
import type { DocumentHandle } from './document-handle.ts'
import { Rooms } from './rooms.ts'
import { YWebsocketSession } from './y-websocket-session.ts'

const author = { author: 'somebody' }
const set = (key: string, value: string) => (view: JsonView) =>
  void view.apply([{ op: 'add', path: `/${key}`, value }])

let clock: VirtualClock
let inner: MemoryStore
/** What the store does instead of what it should, by method. */
let overrides: Partial<DocumentStore>
let errors: string[]

beforeEach(() => {
  clock = new VirtualClock()
  inner = new MemoryStore({ clock, random: new SeededRandom(1) })
  overrides = {}
  errors = []
})

function openRooms(limits: Partial<Record<LimitName, number>> = {}): Rooms {
  const store = new Proxy<DocumentStore>(inner, {
    get: (target, key) => {
      const value: unknown = Reflect.get(overrides, key) ?? Reflect.get(target, key, target)
      return typeof value === 'function' && !(key in overrides) ? value.bind(target) : value
    },
  })
  const logger: Logger = { ...silentLogger, error: (_fields, message) => void errors.push(message) }
  return new Rooms({
    store,
    compactor: { compact: async (updates) => compact(updates), close: async () => undefined },
    clock,
    random: new SeededRandom(2),
    limits: resolveLimits({ storeGiveUpMs: 5_000, ...limits }),
    logger,
    telemetry: silentTelemetry,
    projection: () => ({}),
  })
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Runs timers for so long, and everything that follows from them. */
async function pass(ms: number): Promise<void> {
  await settle()
  for (const until = clock.now() + ms; clock.now() < until;) {
    clock.runNext(until - clock.now())
    await settle()
  }
}

/** Lets appends wait until they are let go. */
function gateAppends(): () => void {
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  overrides.append = async (batch) => {
    await gate
    return inner.append(batch)
  }
  return open
}

async function authorsIn(documentId: string): Promise<string[]> {
  const authors: string[] = []
  for await (const item of inner.read(documentId)) if ('meta' in item) authors.push(item.meta.author)
  return authors
}

const readAll = (handle: DocumentHandle): Promise<unknown> => handle.read((view) => view.read())

/** The updates of a text that is typed letter by letter. */
function typed(text: string, doc = new Y.Doc()): Uint8Array[] {
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  for (const letter of text) doc.getText('text').insert(doc.getText('text').length, letter)
  return updates
}

describe('a store that fails', () => {
  test('answers everybody as unknown when it hangs, refuses what comes then, and goes on by itself', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    const letGo = gateAppends()
    const calls = [handle.edit(author, set('a', '1')), handle.submit(author, typed('x')[0]!)]
    const outcomes = calls.map((call) => expect(call).rejects.toMatchObject({ code: 'outcome-unknown' }))
    await pass(10_000)
    await Promise.all(outcomes)
    await expect(handle.edit(author, set('b', '2'))).rejects.toMatchObject({ code: 'store-failed' })
    expect(await readAll(handle)).toEqual({})
    await expect(rooms.checkReady()).rejects.toMatchObject({ code: 'store-failed' })
    letGo()
    await settle()
    expect(await readAll(handle)).toEqual({ a: '1', text: 'x' })
    await handle.edit(author, set('b', '2'))
    await rooms.checkReady()
    expect(await readAll(handle)).toEqual({ a: '1', b: '2', text: 'x' })
  })

  test('an edit that was given up and one that was planned afterwards do not share a client id', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    const ids: number[] = []
    const note = (view: JsonView): void => void ids.push(view.doc.clientID)
    const letGo = gateAppends()
    const lost = handle.edit(author, (view) => {
      note(view)
      set('a', '1')(view)
    })
    lost.catch(() => undefined)
    await settle()
    // A read that waits makes the new replica in the very moment of giving up.
    const reading = handle.read(note)
    await pass(10_000)
    await reading
    expect(new Set(ids).size).toBe(2)
    letGo()
    await settle()
    await handle.edit(author, set('b', '2'))
    expect(await readAll(handle)).toEqual({ a: '1', b: '2' })
  })

  test('an idempotency key stays taken while its bytes may still be stored', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    // Two commits are needed, so that the room hears of success before the edit itself is stored.
    let letGo = gateAppends()
    handle.submit(author, typed('x')[0]!).catch(() => undefined)
    await settle()
    const keyed = { ...author, idempotencyKey: 'key' }
    const counter = (view: JsonView): void => set('n', `${JSON.stringify(view.read())}.`)(view)
    const first = handle.edit(keyed, counter)
    first.catch(() => undefined)
    await pass(10_000)
    await expect(first).rejects.toMatchObject({ code: 'outcome-unknown' })
    const open = letGo
    letGo = gateAppends()
    open()
    await settle()
    const again = handle.edit(keyed, counter)
    await settle()
    letGo()
    expect(await again).toMatchObject({ replayed: true, revision: 2 })
    expect(await inner.head('doc')).toMatchObject({ revision: 2 })
  })

  test('an idempotency key is known again after a checkpoint and a restart', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    const keyed = { ...author, idempotencyKey: 'key' }
    await handle.edit(keyed, set('n', 'first'))
    for (let i = 0; i < 70; i++) await handle.edit(author, set('n', `${i}`))
    handle.release()
    await pass(31_000)
    expect(rooms.size).toBe(0)
    expect(await authorsIn('doc')).toEqual([])
    const again = await openRooms().open('doc')
    expect(await again.edit(keyed, set('n', 'second'))).toMatchObject({ replayed: true, revision: 1 })
    expect(await readAll(again)).toEqual({ n: '69' })
  })

  test('what it would never take is refused at the gate', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    await expect(handle.edit({ author: 'x'.repeat(5_000) }, set('a', '1'))).rejects.toMatchObject({
      code: 'invalid-value',
    })
    await handle.edit(author, set('b', '2'))
    expect(await readAll(handle)).toEqual({ b: '2' })
  })

  test('what it refuses for good ends the room instead of being tried for ever', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    overrides.append = async (batch) =>
      batch.map(() => ({ ok: false, error: new PolyphonyError('invalid-value', 'never') }))
    await expect(handle.edit(author, set('a', '1'))).rejects.toMatchObject({ code: 'invalid-value' })
    delete overrides.append
    const next = await rooms.open('doc')
    await next.edit(author, set('b', '2'))
    expect(await readAll(next)).toEqual({ b: '2' })
  })
})

describe('a store that only this node should write', () => {
  test('in which somebody else has written is read again', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    await handle.edit(author, set('a', '1'))
    const meta = { author: 'stranger', committedAtMs: 0 }
    await inner.append([{ documentId: 'doc', entries: [{ update: typed('x')[0]!, meta }] }])
    await expect(handle.edit(author, set('b', '2'))).rejects.toMatchObject({ code: 'outcome-unknown' })
    expect(errors).toEqual(['room broken'])
    expect(await readAll(await rooms.open('doc'))).toEqual({ a: '1', b: '2', text: 'x' })
  })

  test('holds an entry twice when the answer to an append was lost, and nothing follows from that', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    let lost = 0
    overrides.append = async (batch) => {
      const results = await inner.append(batch)
      if (lost++ === 0) throw new Error('the answer is lost')
      return results
    }
    const edit = handle.edit(author, set('a', '1'))
    await pass(1_000)
    expect([(await edit).revision, errors]).toEqual([2, []])
    expect(await readAll(handle)).toEqual({ a: '1' })
  })
})

describe('edits', () => {
  test('deleting what somebody else is deleting just now is an edit like any other', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    const doc = new Y.Doc()
    doc.getMap('state').set('k', 'v')
    await handle.submit(author, Y.encodeStateAsUpdate(doc))
    const updates: Uint8Array[] = []
    doc.on('update', (update: Uint8Array) => updates.push(update))
    doc.getMap('state').delete('k')
    const letGo = gateAppends()
    const theirs = handle.submit(author, updates[0]!)
    const ours = handle.edit(author, (view) => view.apply([{ op: 'remove', path: '/k' }]))
    await settle()
    letGo()
    expect([(await theirs).revision, (await ours).revision]).toEqual([2, 3])
    expect(await readAll(handle)).toEqual({})
  })

  test('a listener that fails stops neither the room nor other listeners', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    let heard = 0
    handle.onAdvance(() => {
      throw new Error('a face is broken')
    })
    handle.onAdvance(() => heard++)
    await handle.edit(author, set('a', '1'))
    await handle.edit(author, set('b', '2'))
    expect([heard, errors]).toEqual([2, ['listener failed', 'listener failed']])
  })

  test('a step 2 larger than everything that may wait is taken when nothing waits', async () => {
    const rooms = openRooms({ queueBytesMax: 100 })
    const handle = await rooms.open('doc')
    const doc = new Y.Doc()
    doc.getText('text').insert(0, 'x'.repeat(1_000))
    await handle.submit(author, Y.encodeStateAsUpdate(doc))
    expect(handle.revision).toBe(1)
  })
})

describe('lives of a document', () => {
  test('what was being stored when it was created explicitly is in the new room', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    const letGo = gateAppends()
    const edit = handle.edit(author, set('a', '1'))
    edit.catch(() => undefined)
    await settle()
    await rooms.create('doc')
    await expect(edit).rejects.toMatchObject({ code: 'outcome-unknown' })
    let isOpen = false
    const opening = rooms.open('doc').then((next) => {
      isOpen = true
      return next
    })
    await settle()
    expect(isOpen).toBe(false)
    letGo()
    expect(await readAll(await opening)).toEqual({ a: '1' })
  })

  test('a document that is deleted while it is loaded is not open afterwards', async () => {
    await (await openRooms().open('doc')).edit(author, set('a', '1'))
    const rooms = openRooms()
    let goOn: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    overrides.read = async function* (documentId, range) {
      await gate
      yield* inner.read(documentId, range)
    }
    const opening = rooms.open('doc')
    await settle()
    const deleting = rooms.delete('doc')
    await settle()
    goOn()
    await expect(opening.then(readAll)).rejects.toMatchObject({ code: 'document-deleted' })
    await deleting
    await expect(rooms.open('doc')).rejects.toMatchObject({ code: 'document-deleted' })
  })

  test('a checkpoint that comes too late does not end up in the next life', async () => {
    const rooms = openRooms()
    const handle = await rooms.open('doc')
    for (let i = 0; i < 70; i++) await handle.edit(author, set(`old${i}`, 'x'))
    let goOn: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let isAsked = false
    overrides.checkpoint = async (documentId, checkpoint) => {
      isAsked = true
      await gate
      await inner.checkpoint(documentId, checkpoint)
    }
    handle.release()
    await pass(31_000)
    expect(isAsked).toBe(true)
    await rooms.delete('doc')
    await rooms.create('doc')
    const next = await rooms.open('doc')
    for (let i = 0; i < 70; i++) await next.edit(author, set('new', `${i}`))
    goOn()
    await settle()
    const reopened = await openRooms().open('doc')
    expect(await readAll(reopened)).toEqual({ new: '69' })
  })

  test('a server writes under another client id in each life', async () => {
    const rooms = openRooms()
    const ids: number[] = []
    for (let life = 0; life < 2; life++) {
      const handle = await rooms.open('doc')
      await handle.edit(author, (view) => {
        ids.push(view.doc.clientID)
        set('a', '1')(view)
      })
      await rooms.delete('doc')
      await rooms.create('doc')
    }
    expect(ids[0]).not.toBe(ids[1])
  })

  test('two rooms for one document never exist, even on a full node', async () => {
    const rooms = openRooms({ openDocumentsMax: 1 })
    const entered = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => rooms.enter(`doc${index % 2}`)),
    )
    const byDocument = new Map<string, Set<object>>()
    for (const outcome of entered) {
      if (outcome.status === 'rejected') continue
      const { room } = outcome.value
      byDocument.set(room.documentId, (byDocument.get(room.documentId) ?? new Set()).add(room))
    }
    expect([...byDocument.values()].map(({ size }) => size)).toEqual([1])
    expect(rooms.size).toBe(1)
  })

  test('a room with edits that are not stored stays; one without is unloaded, and its log is shortened', async () => {
    const rooms = openRooms({ storeGiveUpMs: 10_000_000 })
    const handle = await rooms.open('doc')
    for (let i = 0; i < 70; i++) await handle.edit(author, set('n', `${i}`))
    const letGo = gateAppends()
    void handle.edit(author, set('n', 'last'))
    handle.release()
    await pass(300_000)
    expect(rooms.size).toBe(1)
    letGo()
    await pass(61_000)
    expect(rooms.size).toBe(0)
    expect((await authorsIn('doc')).length).toBe(0)
    expect(await readAll(await rooms.open('doc'))).toEqual({ n: 'last' })
  })
})

describe('a session', () => {
  interface Connection {
    readonly session: YWebsocketSession
    readonly sent: { readonly type: number; readonly syncType?: number; readonly payload: Uint8Array }[]
    readonly closed: number[]
    send(...parts: readonly (number | Uint8Array)[]): void
  }

  async function connect(rooms: Rooms, name: string): Promise<Connection> {
    const { room } = await rooms.enter('doc')
    const sent: Connection['sent'] = []
    const closed: number[] = []
    const session = new YWebsocketSession({
      room,
      socket: {
        bufferedBytes: 0,
        send: (frame) => {
          const decoder = decoding.createDecoder(frame)
          const type = decoding.readVarUint(decoder)
          const syncType = type === 0 ? { syncType: decoding.readVarUint(decoder) } : {}
          sent.push({ type, ...syncType, payload: type === 2 ? frame : decoding.readVarUint8Array(decoder) })
        },
        close: (code) => void closed.push(code),
      },
      authorship: { author: name },
      readOnly: false,
      limits: resolveLimits(),
      logger: silentLogger,
    })
    session.start()
    return {
      session,
      sent,
      closed,
      send: (...parts) => {
        const encoder = encoding.createEncoder()
        for (const part of parts) {
          if (typeof part === 'number') encoding.writeVarUint(encoder, part)
          else encoding.writeVarUint8Array(encoder, part)
        }
        session.receive(encoding.toUint8Array(encoder))
      },
    }
  }

  const count = ({ sent }: Connection, type: number, syncType?: number): number =>
    sent.filter((message) => message.type === type && message.syncType === syncType).length

  test('is asked once for what its updates build on, and not again because its answer lacks it too', async () => {
    const client = await connect(openRooms(), 'a')
    const [first, second, third] = typed('abc') as [Uint8Array, Uint8Array, Uint8Array]
    client.send(0, 2, second)
    client.send(0, 2, third)
    expect(count(client, 0, 0)).toBe(2)
    client.send(0, 1, Y.mergeUpdates([second, third]))
    expect(count(client, 0, 0)).toBe(2)
    client.send(0, 2, first)
    await settle()
    expect(client.sent.filter(({ syncType }) => syncType === 2).map(({ payload }) => payload)).toContainEqual(
      first,
    )
    expect(await inner.head('doc')).toMatchObject({ revision: 3 })
  })

  test('hears that everything is saved only when nothing of it is held any more', async () => {
    const rooms = openRooms()
    const client = await connect(rooms, 'a')
    const [first, second] = typed('ab') as [Uint8Array, Uint8Array]
    client.send(0, 2, second)
    client.send(102, new Uint8Array([7]))
    await settle()
    expect(count(client, 102)).toBe(0)
    const letGo = gateAppends()
    client.send(0, 1, Y.mergeUpdates([first, second]))
    await settle()
    expect(count(client, 102)).toBe(0)
    letGo()
    await settle()
    expect(client.sent.findLast(({ type }) => type === 102)?.payload).toEqual(new Uint8Array([7]))
  })

  test('may not put thousands of questions into one frame', async () => {
    const client = await connect(openRooms(), 'a')
    const before = client.sent.length
    client.send(...Array.from({ length: 1_000 }, () => [0, 0, new Uint8Array([0])]).flat())
    expect(client.closed).toEqual([4400])
    expect(client.sent.length - before).toBeLessThan(100)
  })

  test('may not send anything but a step 2 that is larger than a frame', async () => {
    for (const start of [[0, 0], [0, 2], [1], [102]]) {
      const client = await connect(openRooms(), 'a')
      client.send(...start, new Uint8Array(5 << 20))
      expect(client.closed).toEqual([1009])
    }
  })

  test('cannot make a server wait in memory for more than its limit, also with what is known already', async () => {
    const rooms = openRooms({ queueBytesMax: 50_000 })
    const client = await connect(rooms, 'a')
    const doc = new Y.Doc()
    const [known] = typed('x'.repeat(1), doc)
    client.send(0, 2, known!)
    await settle()
    const letGo = gateAppends()
    client.send(0, 2, typed('y')[0]!)
    await settle()
    for (let i = 0; i < 10_000 && client.closed.length === 0; i++) client.send(0, 2, known!)
    expect(client.closed).toEqual([1013])
    letGo()
  })
})

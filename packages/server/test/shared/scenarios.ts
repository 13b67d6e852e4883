import type { Bus, DocumentStore } from '@polyphony/storage'
import { afterEach, expect, test } from 'vitest'
import * as Y from 'yjs'
import { createPolyphonyServer, type PolyphonyServer } from '../../src/server.ts'
import { ignoreStrayRejections, openAgent, verifyStream, type AgentEvent } from '../support/agents.ts'
import { openEditor, synced, until, type Editor } from '../support/editor.ts'
import { send } from '../support/http.ts'

/** Opens another node's view of what is shared. */
export type OpenNode = () => Promise<{ readonly store: DocumentStore; readonly bus: Bus }>

/** Takes the entries of a document above a revision out of the store, as a failover to a lagging replica would. */
export type LoseTail = (documentId: string, revision: number) => Promise<void>

const editsPerEditor = 40
const timeoutMs = 60_000

/** What servers that share a store promise, whatever the store. */
export function sharedStoreTests(openNode: OpenNode, loseTail?: LoseTail): void {
  const cleanups: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  })

  async function start(): Promise<PolyphonyServer> {
    const server = await createPolyphonyServer({ ...(await openNode()), port: 0 })
    cleanups.push(() => server.close(2_000))
    return server
  }

  function edit(server: PolyphonyServer, documentId: string, doc?: Y.Doc): Editor {
    const editor = openEditor(server.url, documentId, doc === undefined ? {} : { doc })
    cleanups.push(() => editor.close())
    return editor
  }

  function watch(
    server: PolyphonyServer,
    documentId: string,
  ): { state: () => unknown; events: AgentEvent[] } {
    const agent = openAgent('1.0.0', { url: `${addressOf(server, documentId)}/ag-ui`, initialState: {} })
    const events: AgentEvent[] = []
    agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
    void agent.runAgent().catch(() => undefined)
    cleanups.push(() => agent.abortRun())
    return { state: () => agent.state, events }
  }

  test('editors, agents and watchers spread over two servers converge', async () => {
    cleanups.push(ignoreStrayRejections())
    const servers = [await start(), await start()]
    const seed = { text: '', done: {}, tasks: [] }
    expect((await send('PUT', addressOf(servers[0]!, 'doc'), { json: seed })).status).toBeLessThan(300)
    const editors = [0, 1, 0, 1].map((index) => edit(servers[index]!, 'doc'))
    const watchers = servers.map((server) => watch(server, 'doc'))
    await synced(...editors)
    await until('the seed to be everywhere', () =>
      editors.every(({ doc }) => doc.getMap('state').has('tasks')),
    )
    const patched = servers.map(async (server, index) => {
      for (let count = 0; count < editsPerEditor; count++) {
        const value = { title: `agent ${index}.${count}` }
        const patch = [{ op: 'add', path: '/tasks/-', value }]
        expect((await send('PATCH', addressOf(server, 'doc'), { patch })).status).toBeLessThan(300)
      }
    })
    for (let count = 0; count < editsPerEditor; count++) {
      for (const [index, { doc }] of editors.entries()) {
        const state = doc.getMap('state')
        ;(state.get('done') as Y.Map<number>).set(`${index}.${count}`, count)
        ;(state.get('tasks') as Y.Array<unknown>).insert(0, [`editor ${index}.${count}`])
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(patched)
    const size = (4 + 2) * editsPerEditor
    await until(
      'everybody to have every task',
      () => editors.every(({ doc }) => tasksOf(doc).length === size),
      timeoutMs,
    )
    const wanted = editors[0]!.doc.getMap('state').toJSON()
    expect(Object.keys(wanted['done'] as object).length).toBe(4 * editsPerEditor)
    for (const { doc } of editors) {
      expect(doc.getMap('state').toJSON()).toEqual(wanted)
      expect(Y.encodeStateVector(doc)).toEqual(Y.encodeStateVector(editors[0]!.doc))
    }
    for (const server of servers) expect((await send('GET', addressOf(server, 'doc'))).body).toEqual(wanted)
    await until(
      'the watchers to hold the same',
      () => watchers.every(({ state }) => JSON.stringify(state()) !== '{}' && isEqual(state(), wanted)),
      timeoutMs,
    )
    for (const { events } of watchers)
      await verifyStream([
        ...events,
        { type: 'RUN_FINISHED', threadId: events[0]?.threadId ?? '', runId: events[0]?.runId ?? '' },
      ])
  })

  test('a version from one server anchors a patch on the other', async () => {
    const [here, there] = [await start(), await start()]
    const put = await send('PUT', addressOf(here, 'doc'), { json: { list: ['a', 'b', 'c'] } })
    const patch = [{ op: 'add', path: '/list/0', value: 'new' }]
    await until(
      'the other server to have it',
      async () => (await send('GET', addressOf(there, 'doc'))).status === 200,
    )
    expect((await send('PATCH', addressOf(here, 'doc'), { patch })).status).toBeLessThan(300)
    // Whoever saw a, b, c means c by index 2.
    const stale = [{ op: 'replace', path: '/list/2', value: 'C' }]
    const answer = await send('PATCH', addressOf(there, 'doc'), {
      patch: stale,
      headers: { 'polyphony-anchor': put.version },
    })
    expect(answer.body).not.toHaveProperty('code')
    expect(answer.status).toBeLessThan(300)
    await until('both to agree', async () =>
      isEqual((await send('GET', addressOf(here, 'doc'))).body, { list: ['new', 'a', 'b', 'C'] }),
    )
  })

  test('what was queued here and came from elsewhere is applied once, and acknowledged to both', async () => {
    const servers = [await start(), await start()]
    // One person with two windows, each on a server of its own: both send the very same structs.
    const source = new Y.Doc()
    source.getMap('state').set('list', new Y.Array<number>())
    for (let count = 0; count < 200; count++)
      (source.getMap('state').get('list') as Y.Array<number>).push([count])
    const bytes = Y.encodeStateAsUpdate(source)
    const editors = servers.map((server) => {
      const doc = new Y.Doc()
      Y.applyUpdate(doc, bytes)
      return edit(server, 'doc', doc)
    })
    await synced(...editors)
    const list = Array.from({ length: 200 }, (_, index) => index)
    for (const server of servers)
      await until('the list to be there', async () =>
        isEqual((await send('GET', addressOf(server, 'doc'))).body, { list }),
      )
    // A view that took structs twice, or missed some, would answer differently for a version in between.
    const late = await send('GET', addressOf(servers[1]!, 'doc'))
    await send('PATCH', addressOf(servers[0]!, 'doc'), {
      patch: [{ op: 'remove', path: '/list/0' }],
      headers: { 'polyphony-anchor': late.version },
    })
    await until('the removal to be everywhere', () =>
      editors.every(({ doc }) => (doc.getMap('state').get('list') as Y.Array<number>).length === 199),
    )
  })

  test('of patches that name the same version on two servers exactly one is taken, and the others are told the new one', async () => {
    const servers = [await start(), await start()]
    await send('PUT', addressOf(servers[0]!, 'doc'), { json: { wins: [] } })
    await until('both to have it', async () =>
      isEqual((await send('GET', addressOf(servers[1]!, 'doc'))).body, { wins: [] }),
    )
    const wins: string[] = []
    for (let round = 0; round < 15; round++) {
      const { version } = await send('GET', addressOf(servers[round % 2]!, 'doc'))
      await until(
        'both to be there',
        async () => (await send('GET', addressOf(servers[(round + 1) % 2]!, 'doc'))).version === version,
      )
      const answers = await Promise.all(
        [0, 1, 0, 1].map((index, number) =>
          send('PATCH', addressOf(servers[index]!, 'doc'), {
            patch: [{ op: 'add', path: '/wins/-', value: `${round}.${number}` }],
            headers: { 'if-match': `"${version}"` },
          }),
        ),
      )
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412, 412, 412])
      wins.push(`${round}.${answers.findIndex(({ status }) => status === 200)}`)
      const lost = answers.filter(({ status }) => status === 412)
      for (const { body } of lost)
        expect(body).toMatchObject({
          code: 'precondition-failed',
          version: expect.stringContaining('.') as unknown,
        })
    }
    for (const server of servers)
      await until('every server to have what won', async () =>
        isEqual((await send('GET', addressOf(server, 'doc'))).body, { wins }),
      )
  })

  test('a key that comes to two servers at once is one edit, with one answer', async () => {
    const servers = [await start(), await start()]
    await send('PUT', addressOf(servers[0]!, 'doc'), { json: { list: [] } })
    const editors = servers.map((server) => edit(server, 'doc'))
    await synced(...editors)
    for (let round = 0; round < 15; round++) {
      for (const [index, { doc }] of editors.entries()) doc.getArray('typed').push([`${round} ${index}`])
      const answers = await Promise.all(
        [0, 1, 0].map((index) =>
          send('PATCH', addressOf(servers[index]!, 'doc'), {
            patch: [{ op: 'add', path: '/list/-', value: round }],
            headers: { 'idempotency-key': `round-${round}` },
          }),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
      expect(new Set(answers.map(({ version }) => version)).size).toBe(1)
      const fresh = answers.filter(({ body }) => (body as { replayed?: true }).replayed !== true)
      expect(fresh).toHaveLength(1)
    }
    const list = Array.from({ length: 15 }, (_, index) => index)
    for (const server of servers)
      await until('every edit to be there once', async () => {
        const { body } = await send('GET', addressOf(server, 'doc'))
        return isEqual((body as { list: unknown }).list, list)
      })
  })

  test('a deletion that names a version does not delete another one', async () => {
    const [here, there] = [await start(), await start()]
    for (let round = 0; round < 5; round++) {
      const put = { json: { round }, headers: { 'if-none-match': '*' } }
      const { version } = await send('PUT', addressOf(here, 'doc'), put)
      await until(
        'the other server to be there',
        async () => (await send('GET', addressOf(there, 'doc'))).version === version,
      )
      const patch = [{ op: 'add', path: '/more', value: round }]
      const [patched, deleted] = await Promise.all([
        send('PATCH', addressOf(there, 'doc'), { patch }),
        send('DELETE', addressOf(here, 'doc'), { headers: { 'if-match': `"${version}"` } }),
      ])
      // Whichever was first, the other one was too late; an edit that is cut off by the deletion does not know more.
      expect([
        [200, 412],
        [410, 204],
        [503, 204],
      ]).toContainEqual([patched.status, deleted.status])
      if (deleted.status === 412) await send('DELETE', addressOf(here, 'doc'))
      await until(
        'the document to be gone on both',
        async () => (await send('GET', addressOf(there, 'doc'))).status === 410,
      )
    }
  })

  test('feeds resume on another server, after a restart and after a checkpoint, with what they lack and no more', async () => {
    const [here, there] = [await start(), await start()]
    const list = Array.from({ length: 300 }, (_, index) => index)
    await send('PUT', addressOf(here, 'doc'), { json: { list, n: 0 } })
    const held = await send('GET', addressOf(here, 'doc'))
    const change = async (n: number): Promise<void> => {
      const patch = [{ op: 'replace', path: '/n', value: n }]
      expect((await send('PATCH', addressOf(here, 'doc'), { patch })).status).toBe(200)
    }
    const changes = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 50)
        await Promise.all(Array.from({ length: Math.min(50, to - n) }, (_, index) => change(n + index)))
      await change(to)
    }
    const arrived = (server: PolyphonyServer, n: number): Promise<void> =>
      until('the change to arrive', async () => {
        const { body } = await send('GET', addressOf(server, 'doc'))
        return (body as { n?: number }).n === n
      })
    const resumeBoth = async (server: PolyphonyServer, version: string): Promise<void> => {
      const event = await firstEvent(`${addressOf(server, 'doc')}/events`, version)
      const { events } = await syncRun(`${addressOf(server, 'doc')}/ag-ui`, version)
      for (const given of [event, events[1]]) {
        expect(given).toMatchObject({ type: 'STATE_DELTA', metadata: { polyphony: { previous: version } } })
        expect(given?.delta).toHaveLength(1)
      }
    }
    await changes(1, 3)
    await arrived(there, 3)
    await resumeBoth(there, held.version)
    // The log becomes a checkpoint once it is long enough; what came before it stays retained for a while.
    await changes(4, 1_100)
    await arrived(there, 1_100)
    await until('the checkpoint', async () => {
      const { body } = await here.metrics.render()
      return /^polyphony_checkpoint_duration_ms_count [1-9]/m.test(body)
    })
    await resumeBoth(there, held.version)
    await there.close()
    const fresh = await start()
    await arrived(fresh, 1_100)
    const late = await send('GET', addressOf(here, 'doc'))
    await changes(1_101, 1_103)
    await arrived(fresh, 1_103)
    await resumeBoth(fresh, late.version)
    // What nobody knows any more is answered with the whole.
    const unknown = await firstEvent(`${addressOf(fresh, 'doc')}/events`, 'another.7')
    expect(unknown).toMatchObject({ type: 'STATE_SNAPSHOT', snapshot: { n: 1_103 } })
  })

  test('presence crosses servers, and ends with its session', async () => {
    const [here, there] = [await start(), await start()]
    const [one, two] = [edit(here, 'doc'), edit(there, 'doc')]
    await synced(one, two)
    one.provider.awareness.setLocalState({ name: 'one' })
    await until('presence on the other server', () => namesSeenBy(two).includes('one'))
    // Somebody who comes later asks.
    const three = edit(there, 'doc')
    await until('presence for a newcomer', () => namesSeenBy(three).includes('one'))
    one.close()
    await until(
      'presence to end',
      () => !namesSeenBy(two).includes('one') && !namesSeenBy(three).includes('one'),
    )
  })

  test('deleting a document ends its sessions on every server, and creating it begins anew on every server', async () => {
    const [here, there] = [await start(), await start()]
    const editor = edit(there, 'doc')
    await synced(editor)
    editor.doc.getMap('state').set('old', 1)
    await until('the edit to be stored', async () =>
      isEqual((await send('GET', addressOf(here, 'doc'))).body, { old: 1 }),
    )
    editor.provider.disconnect()
    const other = edit(there, 'doc')
    await synced(other)
    expect((await send('DELETE', addressOf(here, 'doc'))).status).toBeLessThan(300)
    await until('the session on the other server to end', () => !other.provider.wsconnected)
    other.close()
    await until(
      'the document to be gone there',
      async () => (await send('GET', addressOf(there, 'doc'))).status === 410,
    )
    expect((await send('PUT', addressOf(here, 'doc'), { json: { fresh: true } })).status).toBe(410)
    expect((await send('POST', `${here.url}/v1/documents`, { json: { id: 'doc' } })).status).toBeLessThan(500)
  })

  test('a server that goes away takes nothing with it', async () => {
    const [leaving, staying] = [await start(), await start()]
    const doc = new Y.Doc()
    const editor = edit(leaving, 'doc', doc)
    const witness = edit(staying, 'doc')
    await synced(editor, witness)
    for (let count = 0; count < 50; count++) doc.getArray('list').push([count])
    await leaving.close()
    for (let count = 50; count < 100; count++) doc.getArray('list').push([count])
    editor.provider.destroy()
    const again = edit(staying, 'doc', doc)
    await synced(again)
    await until('everything to be there', () => witness.doc.getArray('list').length === 100)
    expect(witness.doc.getArray('list').toJSON()).toEqual(Array.from({ length: 100 }, (_, index) => index))
  })

  test.skipIf(loseTail === undefined)(
    'what the store loses and a server still holds is written again',
    async () => {
      const servers = [await start(), await start()]
      const json = { kept: true }
      const before = await send('PUT', addressOf(servers[0]!, 'doc'), { json })
      const patches = [
        [{ op: 'add', path: '/lost', value: 1 }],
        [{ op: 'remove', path: '/kept' }],
        [{ op: 'add', path: '/also', value: { lost: [1, 2, 3] } }],
      ]
      for (const patch of patches)
        expect((await send('PATCH', addressOf(servers[0]!, 'doc'), { patch })).status).toBe(200)
      const wanted = { lost: 1, also: { lost: [1, 2, 3] } }
      const holds = async (server: PolyphonyServer) =>
        isEqual((await send('GET', addressOf(server, 'doc'))).body, wanted)
      await until('both servers to have it', async () =>
        (await Promise.all(servers.map(holds))).every(Boolean),
      )
      const { incarnation } = await storedAs(openNode, 'doc')
      await loseTail?.('doc', 1)
      await until(
        'the document to be a new incarnation',
        async () => (await storedAs(openNode, 'doc')).incarnation !== incarnation,
      )
      await until('both servers to have everything again', async () =>
        (await Promise.all(servers.map(holds))).every(Boolean),
      )
      // A server that starts now finds it in the store.
      expect(await holds(await start())).toBe(true)
      expect((await send('GET', addressOf(servers[1]!, 'doc'))).version).not.toBe(before.version)
    },
  )

  test('an empty room learns of the document that another server brings into being', async () => {
    const [here, there] = [await start(), await start()]
    const reader = edit(there, 'doc')
    await synced(reader)
    expect((await send('PUT', addressOf(here, 'doc'), { json: { a: 1 } })).status).toBeLessThan(300)
    await until('the reader to have it', () => reader.doc.getMap('state').get('a') === 1)
    const answer = await send('GET', addressOf(there, 'doc'))
    expect(answer.status).toBe(200)
    expect(answer.version).toBe((await send('GET', addressOf(here, 'doc'))).version)
  })
}

async function storedAs(openNode: OpenNode, documentId: string): Promise<{ readonly incarnation: string }> {
  const { store, bus } = await openNode()
  try {
    const head = await store.head(documentId)
    if (head === undefined) throw new Error(`There is no "${documentId}".`)
    return head
  } finally {
    await bus.close()
    await store.close()
  }
}

/** The first event of a feed that continues from a version, as an `EventSource` asks for it. */
async function firstEvent(url: string, version: string): Promise<AgentEvent> {
  const response = await fetch(url, { headers: { 'last-event-id': version } })
  let text = ''
  const decoder = new TextDecoder()
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece, { stream: true })
    const found = /^data: (.*)$/m.exec(text)?.[1]
    if (found === undefined || !text.endsWith('\n\n')) continue
    // Leaving the loop ends the request.
    return JSON.parse(found) as AgentEvent
  }
  throw new Error('The feed ended without an event.')
}

async function syncRun(url: string, version: string): Promise<{ events: AgentEvent[] }> {
  const events: AgentEvent[] = []
  const body = {
    threadId: 't',
    runId: 'r',
    messages: [],
    forwardedProps: { polyphony: { mode: 'sync', version } },
  }
  const response = await send('POST', url, { json: body })
  for (const [, data = ''] of String(response.body).matchAll(/^data: (.*)$/gm))
    events.push(JSON.parse(data) as AgentEvent)
  return { events }
}

function addressOf(server: PolyphonyServer, documentId: string): string {
  return `${server.url}/v1/documents/${documentId}`
}

function tasksOf(doc: Y.Doc): Y.Array<unknown> {
  return doc.getMap('state').get('tasks') as Y.Array<unknown>
}

function namesSeenBy({ provider }: Editor): readonly unknown[] {
  return [...provider.awareness.getStates().values()].map((state) => (state as { name?: unknown }).name)
}

/** Equality of JSON, whatever the order of members. */
function isEqual(left: unknown, right: unknown): boolean {
  return JSON.stringify(sorted(left)) === JSON.stringify(sorted(right))
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]))
}

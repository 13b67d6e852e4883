import { compactEvents, type BaseEvent } from '@ag-ui/client'
import jsonPatch from 'fast-json-patch'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import {
  clientVersions,
  ignoreStrayRejections,
  openAgent,
  verifyStream,
  type AgentEvent,
  type OfficialAgent,
} from './support/agents.ts'
import { openEditor, synced, until } from './support/editor.ts'
import { send, startServer, type TestServer, type TestServerOptions } from './support/http.ts'
import { startProxy } from './support/tcp-proxy.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startServer(options)
  cleanups.push(() => server.close())
  return server
}

/** A watch run, everything it emitted, and how it ended. */
interface Watch {
  readonly agent: OfficialAgent
  readonly events: AgentEvent[]
  readonly done: Promise<unknown>
}

function watch(agent: OfficialAgent, forwardedProps?: unknown): Watch {
  const events: AgentEvent[] = []
  const { unsubscribe } = agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
  const done = agent.runAgent(forwardedProps === undefined ? {} : { forwardedProps }).then(
    (result) => (unsubscribe(), result),
    (error: unknown) => (unsubscribe(), error),
  )
  cleanups.push(async () => {
    agent.abortRun()
    await done
  })
  return { agent, events, done }
}

const lastVersion = ({ events }: Watch): string | undefined =>
  events.findLast((event) => event.metadata?.polyphony !== undefined)?.metadata?.polyphony?.version

/** Each state event applies to what the one before led to. */
function checkChain(events: readonly AgentEvent[], documentId: string): void {
  let held: string | null = null
  for (const { metadata, type } of events) {
    if (!type.startsWith('STATE_')) continue
    expect(metadata?.polyphony?.documentId).toBe(documentId)
    if (type === 'STATE_DELTA') expect(metadata?.polyphony?.previous).toBe(held)
    else expect(metadata?.polyphony?.previous).toBeNull()
    held = metadata?.polyphony?.version ?? null
  }
}

describe.each(clientVersions)('official client %s', (version) => {
  let server: TestServer
  const open = (documentId: string, initialState?: unknown): OfficialAgent =>
    openAgent(version, {
      url: server.address(documentId, '/ag-ui'),
      ...(initialState === undefined ? {} : { initialState }),
    })
  const patch = (documentId: string, operations: unknown) =>
    send('PATCH', server.address(documentId), { patch: operations })
  beforeEach(async () => {
    server = await start()
  })

  test('a watch run gives the state and then every change, from REST and from editors', async () => {
    await send('PUT', server.address('plan'), { json: { title: 'Plan', list: [] } })
    const run = watch(open('plan'))
    await until('the snapshot', () => run.events.some(({ type }) => type === 'STATE_SNAPSHOT'))
    expect(run.events[0]).toMatchObject({ type: 'RUN_STARTED', protocolVersion: '1.0' })
    await until('the state', () => (run.agent.state as { title?: string }).title === 'Plan')
    const editor = openEditor(server.url, 'plan')
    cleanups.push(() => editor.close())
    await synced(editor)
    const list = editor.doc.getMap('state').get('list') as Y.Array<unknown>
    for (let index = 0; index < 20; index++) {
      list.push([index])
      await patch('plan', [{ op: 'add', path: `/by${index}`, value: { deep: [index] } }])
    }
    const state = async () => (await send('GET', server.address('plan'))).body
    await until('equal states', async () => {
      const now = await state()
      return (
        JSON.stringify(jsonPatch.compare(now as object, run.agent.state as object)) === '[]' &&
        (now as { list: unknown[] }).list.length === 20
      )
    })
    run.agent.abortRun()
    await run.done
    checkChain(run.events, 'plan')
    const streamed = run.events.filter(({ type }) => type !== 'RUN_ERROR')
    await verifyStream([...streamed, { type: 'RUN_FINISHED', threadId: 't', runId: 'r' }])
    expect(run.events.some(({ type }) => type === 'STATE_DELTA')).toBe(true)
  })

  test('a sync run gives the state and finishes', async () => {
    await send('PUT', server.address('plan'), { json: { n: [1, 2, 3] } })
    const run = watch(open('plan'), { polyphony: { mode: 'sync' } })
    await run.done
    expect(run.events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'STATE_SNAPSHOT', 'RUN_FINISHED'])
    expect(run.agent.state).toEqual({ n: [1, 2, 3] })
    expect(run.events[2]?.runId).toBe(run.events[0]?.runId)
    await verifyStream(run.events)
    const compact = compactEvents(run.events as unknown as BaseEvent[]) as unknown as AgentEvent[]
    expect(compact.find(({ type }) => type === 'STATE_SNAPSHOT')?.snapshot).toEqual({ n: [1, 2, 3] })
  })

  test('a client that keeps its version gets only what it lacks', async () => {
    await send('PUT', server.address('plan'), { json: { list: ['a'], n: 1 } })
    const agent = open('plan')
    const first = watch(agent, { polyphony: { mode: 'sync' } })
    await first.done
    await patch('plan', [{ op: 'add', path: '/list/0', value: 'new' }])
    const second = watch(agent, { polyphony: { mode: 'sync', version: lastVersion(first) } })
    await second.done
    expect(second.events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'STATE_DELTA', 'RUN_FINISHED'])
    expect(agent.state).toEqual({ list: ['new', 'a'], n: 1 })
    const third = watch(agent, { polyphony: { mode: 'sync', version: lastVersion(second) } })
    await third.done
    expect(third.events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
    await verifyStream(third.events)
  })

  test('what the client changed against its version is merged, never assigned whole', async () => {
    await send('PUT', server.address('plan'), { json: { title: 'old', list: ['a', 'b'] } })
    const agent = open('plan')
    const first = watch(agent, { polyphony: { mode: 'sync' } })
    await first.done
    await patch('plan', [
      { op: 'add', path: '/theirs', value: true },
      { op: 'add', path: '/list/0', value: 'first' },
    ])
    agent.state = { title: 'new', list: ['a', 'b', 'c'] }
    const second = watch(agent, { polyphony: { mode: 'sync', version: lastVersion(first) } })
    await second.done
    const merged = { title: 'new', theirs: true, list: ['first', 'a', 'b', 'c'] }
    expect(agent.state).toEqual(merged)
    expect((await send('GET', server.address('plan'))).body).toEqual(merged)
    await verifyStream(second.events)
  })

  test('a proposal that is repeated because its run broke is merged once', async () => {
    cleanups.push(ignoreStrayRejections())
    await send('PUT', server.address('plan'), { json: { list: ['a'] } })
    const proxy = await startProxy(server.url)
    cleanups.push(() => proxy.close())
    const agent = openAgent(version, { url: server.address('plan', '/ag-ui').replace(server.url, proxy.url) })
    const first = watch(agent, { polyphony: { mode: 'sync' } })
    await first.done
    const held = lastVersion(first)
    agent.state = { list: ['a', 'mine'] }
    proxy.pause()
    const broken = watch(agent, { polyphony: { mode: 'sync', version: held } })
    await until('the merge', async () => {
      const { body } = await send('GET', server.address('plan'))
      return (body as { list: unknown[] }).list.length === 2
    })
    proxy.cut()
    await broken.done
    proxy.resume()
    expect(agent.state).toEqual({ list: ['a', 'mine'] })
    await patch('plan', [{ op: 'add', path: '/list/0', value: 'theirs' }])
    const again = watch(agent, { polyphony: { mode: 'sync', version: held } })
    await again.done
    expect(agent.state).toEqual({ list: ['theirs', 'a', 'mine'] })
    expect((await send('GET', server.address('plan'))).body).toEqual({ list: ['theirs', 'a', 'mine'] })
  })

  test('a part of the state is merged like the whole, also after it was resumed', async () => {
    await send('PUT', server.address('plan'), { json: { mine: { n: 1, list: ['a'] }, other: 1 } })
    const agent = open('plan')
    const pointer = '/mine'
    const first = watch(agent, { polyphony: { mode: 'sync', pointer } })
    await first.done
    await patch('plan', [{ op: 'replace', path: '/mine/n', value: 2 }])
    const resumed = watch(agent, { polyphony: { mode: 'sync', pointer, version: lastVersion(first) } })
    await resumed.done
    expect(agent.state).toEqual({ n: 2, list: ['a'] })
    await patch('plan', [
      { op: 'add', path: '/mine/list/0', value: 'theirs' },
      { op: 'replace', path: '/other', value: 2 },
    ])
    agent.state = { n: 2, list: ['a', 'b'] }
    const written = watch(agent, { polyphony: { mode: 'sync', pointer, version: lastVersion(resumed) } })
    await written.done
    expect(agent.state).toEqual({ n: 2, list: ['theirs', 'a', 'b'] })
    expect((await send('GET', server.address('plan'))).body).toEqual({
      mine: { n: 2, list: ['theirs', 'a', 'b'] },
      other: 2,
    })
    await verifyStream(written.events)
  })

  test('what a client changed in what others removed is told, the rest is merged', async () => {
    await send('PUT', server.address('plan'), {
      json: {
        list: [
          { id: 1, n: 0 },
          { id: 2, n: 0 },
        ],
      },
    })
    const agent = open('plan')
    const first = watch(agent, { polyphony: { mode: 'sync' } })
    await first.done
    await patch('plan', [{ op: 'remove', path: '/list/0' }])
    agent.state = {
      list: [
        { id: 1, n: 5 },
        { id: 2, n: 5 },
      ],
    }
    const second = watch(agent, { polyphony: { mode: 'sync', version: lastVersion(first) } })
    await second.done
    expect(agent.state).toEqual({ list: [{ id: 2, n: 5 }] })
    expect(second.events.find(({ name }) => name === 'polyphony.conflicts')?.value).toMatchObject({
      conflicts: [{ reason: 'target-deleted' }],
    })
    await verifyStream(second.events)
  })

  test('without a version the state of the client is not looked at', async () => {
    await send('PUT', server.address('plan'), { json: { n: 1 } })
    const run = watch(open('plan', { n: 7, mine: true }), { polyphony: { mode: 'sync' } })
    await run.done
    expect(run.agent.state).toEqual({ n: 1 })
    expect((await send('GET', server.address('plan'))).body).toEqual({ n: 1 })
  })

  test('a fresh client with an old version clears nothing', async () => {
    const { version: held } = await send('PUT', server.address('plan'), { json: { n: 1 } })
    const run = watch(open('plan', {}), { polyphony: { mode: 'sync', version: held } })
    await run.done
    expect(run.agent.state).toEqual({ n: 1 })
    expect((await send('GET', server.address('plan'))).body).toEqual({ n: 1 })
  })

  test('a run on a part of the document', async () => {
    await send('PUT', server.address('plan'), { json: { agent: { step: 1 }, other: 'x' } })
    const run = watch(open('plan'), { polyphony: { pointer: '/agent' } })
    await until('the part', () => JSON.stringify(run.agent.state) === '{"step":1}')
    await patch('plan', [{ op: 'replace', path: '/other', value: 'y' }])
    await patch('plan', [{ op: 'replace', path: '/agent/step', value: 2 }])
    await until('its change', () => JSON.stringify(run.agent.state) === '{"step":2}')
    checkChain(run.events, 'plan')
    expect(run.events.filter(({ type }) => type === 'STATE_DELTA')).toHaveLength(1)
  })

  test('splices of long texts come only to who asks, in a stream that every client accepts', async () => {
    const editor = openEditor(server.url, 'plan')
    cleanups.push(() => editor.close())
    const body = new Y.Text('a line of a long text\n'.repeat(1_000))
    editor.doc.getMap('state').set('body', body)
    await synced(editor)
    const runs = [watch(open('plan'), { polyphony: { splices: true } }), watch(open('plan'))]
    await until('the snapshots', () => runs.every(({ events }) => events.length > 1))
    body.insert(10_000, 'here')
    await until('the change', () =>
      runs.every((run) => run.events.some(({ type }) => /DELTA|CUSTOM/.test(type))),
    )
    const [asked, other] = runs.map(({ events }) => events.filter(({ type }) => /DELTA|CUSTOM/.test(type)))
    expect(asked).toMatchObject([
      {
        type: 'CUSTOM',
        name: 'polyphony.delta',
        value: [{ op: 'splice', path: '/body', index: 10_000, remove: 0, insert: 'here' }],
        metadata: { polyphony: { documentId: 'plan' } },
      },
    ])
    expect(other).toMatchObject([{ type: 'STATE_DELTA', delta: [{ op: 'add', path: '/body' }] }])
    for (const { events } of runs)
      await verifyStream([...events, { type: 'RUN_FINISHED', threadId: 't', runId: 'r' }])
  })

  test('a document that nobody has written yet can be watched', async () => {
    const run = watch(open('later'))
    await until('the empty snapshot', () => run.events.length === 2)
    await patch('later', [{ op: 'add', path: '/first', value: 1 }])
    await until('the first write', () => JSON.stringify(run.agent.state) === '{"first":1}')
  })

  test('after a dropped connection a new run ends equal', async () => {
    cleanups.push(ignoreStrayRejections())
    await send('PUT', server.address('plan'), { json: { n: 0 } })
    const proxy = await startProxy(server.url)
    cleanups.push(() => proxy.close())
    const agent = openAgent(version, { url: server.address('plan', '/ag-ui').replace(server.url, proxy.url) })
    const first = watch(agent)
    await until('the state', () => (agent.state as { n?: number }).n === 0)
    proxy.cut()
    expect(await first.done).toBeInstanceOf(Error)
    for (let n = 1; n <= 5; n++) await patch('plan', [{ op: 'replace', path: '/n', value: n }])
    const second = watch(agent)
    await until('the state after the drop', () => (agent.state as { n?: number }).n === 5)
    second.agent.abortRun()
    await second.done
    const third = watch(agent, { polyphony: { mode: 'sync', version: lastVersion(second) } })
    await third.done
    expect(third.events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
  })

  test('a deleted document ends its runs with an error that says so', async () => {
    await send('PUT', server.address('plan'), { json: {} })
    const run = watch(open('plan'))
    await until('the snapshot', () => run.events.length >= 2)
    await send('DELETE', server.address('plan'))
    await run.done
    expect(run.events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'document-deleted' })
    await verifyStream(run.events)
  })

  test('a closing server ends runs so that clients know to come back', async () => {
    const run = watch(open('plan'))
    await until('the snapshot', () => run.events.length >= 2)
    await server.http.close(1_000)
    await run.done
    expect(run.events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'shutting-down' })
    await verifyStream(run.events)
  })

  test('a run has a lifetime, and then finishes properly', async () => {
    const short = await start({ limits: { feedLifetimeMs: 300 } })
    await send('PUT', short.address('plan'), { json: { n: 1 } })
    const run = watch(openAgent(version, { url: short.address('plan', '/ag-ui') }))
    await run.done
    expect(run.events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'STATE_SNAPSHOT', 'RUN_FINISHED'])
  })

  test('a client that failed on a delta is repaired by the next repeated snapshot', async () => {
    const repairing = await start({ feed: { repair: { intervalMsMin: 1_000, bytesPerSecond: 1 << 20 } } })
    await send('PUT', repairing.address('plan'), { json: { number: 0 } })
    // The wire spoils the first delta, so that the client cannot apply it; it warns and goes on.
    let spoiled = 0
    const proxy = await startProxy(repairing.url, (piece) => {
      const text = piece.toString('latin1')
      if (spoiled > 0 || !text.includes('STATE_DELTA')) return piece
      spoiled += 1
      return Buffer.from(text.replace('"path":"/number"', '"path":"/num/er"'), 'latin1')
    })
    cleanups.push(() => proxy.close())
    const agent = openAgent(version, {
      url: repairing.address('plan', '/ag-ui').replace(repairing.url, proxy.url),
      headers: { 'accept-encoding': 'identity' },
    })
    const run = watch(agent)
    await until('the state', () => (agent.state as { number?: number }).number === 0)
    await send('PATCH', repairing.address('plan'), { patch: [{ op: 'replace', path: '/number', value: 1 }] })
    await until('the spoiled delta', () => run.events.some(({ type }) => type === 'STATE_DELTA'))
    await until('the repair', () => (agent.state as { number?: number }).number === 1)
    expect(spoiled).toBe(1)
    expect(run.events.map(({ type }) => type)).toEqual([
      'RUN_STARTED',
      'STATE_SNAPSHOT',
      'STATE_DELTA',
      'STATE_SNAPSHOT',
    ])
    agent.abortRun()
    await run.done
  })

  test('a state beyond one frame arrives whole', async () => {
    const small = await start({ limits: { snapshotBytesMax: 50_000 } })
    const state = {
      rows: Array.from({ length: 2_000 }, (_, id) => ({ id, text: `row ${id}`, tags: ['x', 'y'] })),
    }
    await send('PUT', small.address('big'), { json: state })
    const run = watch(openAgent(version, { url: small.address('big', '/ag-ui') }), {
      polyphony: { mode: 'sync' },
    })
    await run.done
    expect(run.agent.state).toEqual(state)
    expect(run.events.length).toBeGreaterThan(4)
    checkChain(run.events, 'big')
    await verifyStream(run.events)
  })
})

describe('requests that are refused before the run starts', () => {
  const minimal = { threadId: 't', runId: 'r', messages: [], tools: [], context: [], forwardedProps: {} }
  test.each<[string, number, string, Parameters<typeof send>[2]]>([
    ['not JSON', 400, 'invalid-request', { body: '{', type: 'application/json' }],
    ['another media type', 415, 'unsupported-media-type', { body: '{}', type: 'text/plain' }],
    ['no run id', 400, 'invalid-request', { json: { ...minimal, runId: undefined } }],
    ['malformed messages', 400, 'invalid-request', { json: { ...minimal, messages: [{ role: 'user' }] } }],
    ['a foreign protocol', 400, 'invalid-request', { json: { ...minimal, protocolVersion: '2.0' } }],
    [
      'an unknown mode',
      400,
      'invalid-request',
      { json: { ...minimal, forwardedProps: { polyphony: { mode: 'x' } } } },
    ],
    [
      'a malformed version',
      400,
      'invalid-token',
      { json: { ...minimal, forwardedProps: { polyphony: { version: '?' } } } },
    ],
    [
      'a pointer to nothing',
      404,
      'pointer-not-found',
      { json: { ...minimal, forwardedProps: { polyphony: { pointer: '/x' } } } },
    ],
    [
      'an answer that we cannot give',
      406,
      'not-acceptable',
      { json: minimal, headers: { accept: 'text/html' } },
    ],
  ])('%s', async (_, status, code, options) => {
    const server = await start()
    const answer = await send('POST', server.address('plan', '/ag-ui'), options)
    expect(answer).toMatchObject({ status, body: { code } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
  })

  test('members that nobody knows are tolerated', async () => {
    const server = await start()
    const answer = await send('POST', server.address('plan', '/ag-ui'), {
      json: {
        ...minimal,
        future: { a: 1 },
        forwardedProps: { polyphony: { mode: 'sync', future: 1 }, other: null },
      },
      headers: { accept: '*/*' },
    })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(answer.body).toContain('RUN_FINISHED')
  })
})

import { get, type IncomingMessage } from 'node:http'
import { createBrotliDecompress } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  clientVersions,
  ignoreStrayRejections,
  openAgent,
  verifyStream,
  withHeaders,
  type AgentEvent,
  type OfficialAgent,
} from './support/agents.ts'
import { until } from './support/editor.ts'
import { send, startServer, type TestServer, type TestServerOptions } from './support/http.ts'
import { startProxy, type TcpProxy } from './support/tcp-proxy.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const protobuf = 'application/vnd.ag-ui.event+proto'
const transports = {
  SSE: { 'accept-encoding': 'identity' },
  'SSE, gzip': { 'accept-encoding': 'gzip' },
  'SSE, br': { 'accept-encoding': 'br' },
  protobuf: { accept: protobuf, 'accept-encoding': 'identity' },
  'protobuf, gzip': { accept: `${protobuf}, text/event-stream;q=0.5`, 'accept-encoding': 'gzip' },
} as const
type Transport = keyof typeof transports
const matrix = clientVersions.flatMap((version) =>
  (Object.keys(transports) as Transport[]).map((transport) => ({ version, transport })),
)

interface Run {
  readonly agent: OfficialAgent
  readonly events: AgentEvent[]
  readonly done: Promise<unknown>
}

function run(agent: OfficialAgent, polyphony: object = {}): Run {
  const events: AgentEvent[] = []
  const { unsubscribe } = agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
  const done = agent
    .runAgent({ forwardedProps: { polyphony } })
    .catch((error: unknown) => error)
    .finally(unsubscribe)
  cleanups.push(async () => {
    agent.abortRun()
    await done
  })
  return { agent, events, done }
}

describe.each(matrix)('official client $version over $transport', ({ version, transport }) => {
  let server: TestServer
  let proxy: TcpProxy
  const start = async (options: TestServerOptions = {}): Promise<void> => {
    server = await startServer({ feed: { pace: fastPace }, ...options })
    cleanups.push(() => server.close())
    proxy = await startProxy(server.url)
    cleanups.push(() => proxy.close())
  }
  const open = (): OfficialAgent =>
    withHeaders(
      openAgent(version, { url: server.address('plan', '/ag-ui').replace(server.url, proxy.url) }),
      transports[transport],
    )
  const put = (json: unknown): Promise<{ version: string }> => send('PUT', server.address('plan'), { json })
  const countOf = async (gauge: string): Promise<number> => {
    const { body } = await server.metrics.render()
    return Number(new RegExp(`^${gauge.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm').exec(body)?.[1])
  }
  const nOf = ({ state }: OfficialAgent): unknown => (state as { n?: number }).n
  beforeEach(() => start())

  test('the state, every change, and the end of a run', async () => {
    const first = { n: 0, text: 'grüße 👋', list: [1, 2.5, -3, true, null, { deep: [] }], big: 2 ** 53 - 1 }
    await put(first)
    const watching = run(open())
    await until('the state', () => nOf(watching.agent) === 0)
    expect(watching.agent.state).toEqual(first)
    const { version: held } = await put({ ...first, n: 1, list: [], more: { a: 1 } })
    await until('the change', () => nOf(watching.agent) === 1)
    expect(watching.agent.state).toEqual({ ...first, n: 1, list: [], more: { a: 1 } })
    watching.agent.abortRun()
    await watching.done
    const syncing = open()
    syncing.state = watching.agent.state
    const sync = run(syncing, { mode: 'sync', version: held })
    await sync.done
    expect(sync.events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
    await verifyStream(sync.events)
  })

  test('what the client holds is known by its version, where the transport carries it', async () => {
    await put({ n: 0 })
    const sync = run(open(), { mode: 'sync' })
    await sync.done
    const stamp = sync.events.find(({ type }) => type === 'STATE_SNAPSHOT')?.metadata?.polyphony
    // The protobuf of that client knows no metadata.
    if (version === '0.0.57' && transport.startsWith('protobuf')) expect(stamp).toBeUndefined()
    else expect(stamp).toMatchObject({ documentId: 'plan', previous: null })
  })

  test('dropped: the next run ends equal', async () => {
    cleanups.push(ignoreStrayRejections())
    await put({ n: 0 })
    const agent = open()
    const first = run(agent)
    await until('the state', () => nOf(agent) === 0)
    proxy.cut()
    await first.done
    await until(
      'the server to know',
      async () => (await countOf('polyphony_connections{face="ag-ui"}')) === 0,
    )
    for (let n = 1; n <= 3; n++) await put({ n })
    run(agent)
    await until('the state after the drop', () => nOf(agent) === 3)
  })

  // Node's fetch keeps the end of a brotli stream that it was slow to read, until more arrives; see the test below.
  test.skipIf(transport === 'SSE, br')('slow: one net delta once it reads again', async () => {
    await put({ n: 0, text: '' })
    const watching = run(open())
    await until('the state', () => nOf(watching.agent) === 0)
    proxy.pause()
    const rounds = 20
    // Nothing that compression could make small.
    const noise = (): string =>
      Array.from({ length: 20_000 }, () => Math.random().toString(36).slice(2)).join('')
    for (let n = 1; n <= rounds; n++) await put({ n, text: noise() })
    await until('it to be behind', async () => (await countOf('polyphony_feed_slow_readers')) === 1)
    for (let n = rounds + 1; n <= 2 * rounds; n++) await put({ n, text: '' })
    proxy.resume()
    await until('the last change', () => nOf(watching.agent) === 2 * rounds)
    expect(watching.agent.state).toEqual({ n: 2 * rounds, text: '' })
    const deltas = watching.events.filter(({ type }) => type === 'STATE_DELTA').length
    expect(deltas).toBeLessThan(1.5 * rounds)
  })

  test('aborted: the server lets go of it', async () => {
    await put({ n: 0 })
    const watching = run(open())
    await until('the state', () => nOf(watching.agent) === 0)
    expect(await countOf('polyphony_connections{face="ag-ui"}')).toBe(1)
    watching.agent.abortRun()
    await watching.done
    await until('the end', async () => (await countOf('polyphony_connections{face="ag-ui"}')) === 0)
  })
})

describe.each(clientVersions)('official client %s, detached', (version) => {
  test('a run that nobody listens to any more ends when it has nothing to tell, and by its lifetime', async () => {
    for (const limits of [{ feedIdleMs: 300 }, { feedLifetimeMs: 300 }]) {
      const server = await startServer({ limits })
      cleanups.push(() => server.close())
      await send('PUT', server.address('plan'), { json: { n: 0 } })
      const agent = openAgent(version, { url: server.address('plan', '/ag-ui') })
      const watching = run(agent)
      await until('the state', () => (agent.state as { n?: number }).n === 0)
      // Clients that cannot detach just stay: for the server that is the same.
      await agent.detachActiveRun?.()
      const gauge = 'polyphony_connections{face="ag-ui"} '
      expect((await server.metrics.render()).body).toContain(`${gauge}1`)
      await until('the server to end it', async () =>
        (await server.metrics.render()).body.includes(`${gauge}0`),
      )
      await watching.done
      if (agent.detachActiveRun === undefined) expect(watching.events.at(-1)?.type).toBe('RUN_FINISHED')
    }
  })
})

test('brotli, slow: everything is sent as soon as the reader reads again', async () => {
  const server = await startServer({ feed: { pace: fastPace } })
  cleanups.push(() => server.close())
  const proxy = await startProxy(server.url)
  cleanups.push(() => proxy.close())
  const put = (json: unknown): Promise<unknown> => send('PUT', server.address('plan'), { json })
  await put({ n: 0, text: '' })
  const url = server.address('plan', '/events').replace(server.url, proxy.url)
  const response = await new Promise<IncomingMessage>((resolve) => {
    get(url, { headers: { 'accept-encoding': 'br' } }, resolve)
  })
  expect(response.headers['content-encoding']).toBe('br')
  let text = ''
  response.pipe(createBrotliDecompress()).on('data', (piece: Buffer) => (text += piece.toString('latin1')))
  await until('the state', () => text.includes('STATE_SNAPSHOT'))
  proxy.pause()
  const slow = async (): Promise<boolean> =>
    (await server.metrics.render()).body.includes('polyphony_feed_slow_readers 1')
  const noise = (): string =>
    Array.from({ length: 20_000 }, () => Math.random().toString(36).slice(2)).join('')
  let n = 1
  while (!(await slow())) await put({ n: n++, text: noise() })
  await put({ n, text: '' })
  proxy.resume()
  // Long before a snapshot would repair what is missing.
  await until('the last change', () => text.includes(`"value":${n}}`), 20_000)
})

describe('negotiation', () => {
  const input = { threadId: 't', runId: 'r', messages: [], forwardedProps: { polyphony: { mode: 'sync' } } }
  test.each([
    ['text/event-stream', 200, 'text/event-stream; charset=utf-8'],
    ['*/*', 200, 'text/event-stream; charset=utf-8'],
    ['application/*', 406, ''],
    ['application/*, */*;q=0.1', 200, 'text/event-stream; charset=utf-8'],
    [protobuf, 200, protobuf],
    [`${protobuf}, */*`, 200, protobuf],
    [`${protobuf};q=0.5, text/event-stream`, 200, 'text/event-stream; charset=utf-8'],
    [`text/event-stream;q=0.5, ${protobuf}`, 200, protobuf],
    [`${protobuf};q=0`, 406, ''],
    ['text/html', 406, ''],
  ])('Accept: %s', async (accept, status, type) => {
    const server = await startServer()
    cleanups.push(() => server.close())
    const answer = await send('POST', server.address('plan', '/ag-ui'), { json: input, headers: { accept } })
    expect(answer.status).toBe(status)
    if (status === 200) expect(answer.headers.get('content-type')).toBe(type)
    expect(answer.headers.get('vary')).toContain('Accept')
  })

  test('a quiet protobuf stream is kept alive by an event that says nothing', async () => {
    const server = await startServer({ keepAliveMs: 50 })
    cleanups.push(() => server.close())
    const agent = withHeaders(openAgent('1.0.0', { url: server.address('plan', '/ag-ui') }), {
      accept: protobuf,
    })
    const watching = run(agent)
    await until(
      'two of them',
      () => watching.events.filter(({ name }) => name === 'polyphony.keep-alive').length > 1,
    )
    watching.agent.abortRun()
  })
})

/** Flushes as fast as the reader takes it. */
const fastPace = {
  intervalMsMin: 1,
  readerBytesPerSecond: 1e12,
  totalBytesPerSecond: 1e12,
  burstMs: 1_000,
  workShare: 1,
}

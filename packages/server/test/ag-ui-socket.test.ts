import { AgentCapabilitiesSchema } from '@ag-ui/core/schemas'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { PolyphonyError } from '@polyphony/core'
import { verifyStream, type AgentEvent } from './support/agents.ts'
import { until } from './support/editor.ts'
import { send, startServer, type TestServer } from './support/http.ts'
import { startProxy } from './support/tcp-proxy.ts'

const cleanups: (() => unknown)[] = []
let server: TestServer
beforeEach(async () => {
  server = await startServer()
  cleanups.push(() => server.close())
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface Socket {
  readonly webSocket: WebSocket
  readonly events: AgentEvent[]
  readonly closed: Promise<readonly [code: number, reason: string]>
  run(polyphony?: object, others?: object): void
}

async function open(url = server.address('plan', '/ag-ui')): Promise<Socket> {
  const webSocket = new WebSocket(url.replace('http', 'ws'))
  const events: AgentEvent[] = []
  webSocket.on('message', (data, isBinary) => {
    expect(isBinary).toBe(false)
    events.push(JSON.parse((data as Buffer).toString()) as AgentEvent)
  })
  const closed = new Promise<readonly [number, string]>((resolve) => {
    webSocket.on('close', (code, reason) => resolve([code, reason.toString()]))
  })
  await new Promise((resolve) => webSocket.once('open', resolve))
  cleanups.push(() => webSocket.terminate())
  let runs = 0
  return {
    webSocket,
    events,
    closed,
    run: (polyphony = {}, others = {}) => {
      const input = {
        threadId: 't',
        runId: `r${runs++}`,
        messages: [],
        forwardedProps: { polyphony },
        ...others,
      }
      webSocket.send(JSON.stringify(input))
    },
  }
}

const typesOf = ({ events }: Socket): readonly string[] => events.map(({ type }) => type)
const put = (json: unknown): Promise<{ version: string }> => send('PUT', server.address('plan'), { json })

test('one event per text frame: the state, then every change', async () => {
  await put({ n: 0 })
  const socket = await open()
  socket.run()
  await until('the state', () => socket.events.length === 2)
  expect(socket.events[1]).toMatchObject({
    type: 'STATE_SNAPSHOT',
    snapshot: { n: 0 },
    metadata: { polyphony: { documentId: 'plan', previous: null } },
  })
  await put({ n: 1 })
  await until('the change', () => socket.events.length === 3)
  expect(socket.events[2]).toMatchObject({ type: 'STATE_DELTA', delta: [{ path: '/n', value: 1 }] })
  await verifyStream([...socket.events, { type: 'RUN_FINISHED', threadId: 't', runId: 'r0' }])
})

test('runs follow each other on one connection, and resume from a version', async () => {
  await put({ n: 0 })
  const socket = await open()
  socket.run({ mode: 'sync' })
  await until('the first run', () => typesOf(socket).includes('RUN_FINISHED'))
  const held = socket.events[1]?.metadata?.polyphony?.version
  await put({ n: 1 })
  socket.run({ mode: 'sync', version: held })
  await until('the second run', () => socket.events.length === 6)
  expect(typesOf(socket).slice(3)).toEqual(['RUN_STARTED', 'STATE_DELTA', 'RUN_FINISHED'])
  socket.run({ mode: 'sync', version: held }, { state: { n: 0, mine: true } })
  await until('the third run', () => socket.events.length === 9)
  expect((await send('GET', server.address('plan'))).body).toEqual({ n: 1, mine: true })
  await verifyStream(socket.events)
})

test('a finished run leaves nothing behind on its connection', async () => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  cleanups.push(() => process.off('warning', onWarning))
  const socket = await open()
  for (let runs = 1; runs <= 15; runs++) {
    socket.run({ mode: 'sync' })
    await until('the run', () => socket.events.length === 3 * runs)
  }
  expect(warnings.map(({ message }) => message)).toEqual([])
})

test('a connection does not outlast its token, however short its runs are', async () => {
  let expiresAtMs = Date.now() + 60_000
  const strict = await startServer({
    authorize: () => ({
      id: 'short',
      access: () => 'write',
      get expiresAtMs() {
        return expiresAtMs
      },
    }),
  })
  cleanups.push(() => strict.close())
  const socket = await open(strict.address('plan', '/ag-ui'))
  socket.run({ mode: 'sync' })
  await until('the run', () => socket.events.length === 3)
  const version = socket.events[1]?.metadata?.polyphony?.version
  expiresAtMs = Date.now() - 1
  socket.run({ mode: 'sync', version }, { state: { late: true } })
  expect(await socket.closed).toEqual([4401, 'unauthorized'])
  expect(socket.events.slice(3)).toMatchObject([{ type: 'RUN_ERROR', code: 'unauthorized' }])
  expect((await send('GET', strict.address('plan'))).status).toBe(404)
})

test.each<[string, (socket: Socket) => void, string, number]>([
  ['no JSON', ({ webSocket }) => webSocket.send('hello'), 'invalid-request', 4400],
  ['no RunAgentInput', ({ webSocket }) => webSocket.send('{}'), 'invalid-request', 4400],
  ['a binary frame', ({ webSocket }) => webSocket.send(new Uint8Array([1])), 'invalid-frame', 4400],
  ['a malformed version', (socket) => socket.run({ version: 'x' }), 'invalid-token', 4400],
])('%s ends the connection with RUN_ERROR and a close code', async (_name, act, code, close) => {
  const socket = await open()
  act(socket)
  expect(await socket.closed).toEqual([close, code])
  expect(socket.events).toMatchObject([{ type: 'RUN_ERROR', code }])
  await verifyStream(socket.events)
})

test('one run at a time', async () => {
  const socket = await open()
  socket.run()
  await until('the state', () => socket.events.length === 2)
  socket.run()
  expect(await socket.closed).toEqual([4400, 'invalid-frame'])
  expect(socket.events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'invalid-frame' })
})

test('a deleted document and a stopping server end runs with their codes', async () => {
  await put({})
  const first = await open()
  first.run()
  await until('the state', () => first.events.length === 2)
  await send('DELETE', server.address('plan'))
  expect(await first.closed).toEqual([4410, 'document-deleted'])
  expect(first.events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'document-deleted' })
  const second = await open(server.address('other', '/ag-ui'))
  second.run()
  const idle = await open(server.address('other', '/ag-ui'))
  await until('the state', () => second.events.length === 2)
  await server.http.close(1_000)
  expect(await second.closed).toEqual([1012, 'shutting-down'])
  expect(second.events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'shutting-down' })
  expect(await idle.closed).toEqual([1012, 'shutting-down'])
})

test('whoever may not is told by the close code; a run ends with its token', async () => {
  const strict = await startServer({
    authorize: ({ token }) => {
      if (token === undefined) throw new PolyphonyError('unauthorized', 'A token is needed.')
      return {
        id: token,
        access: (documentId) => (documentId === token ? 'read' : 'none'),
        expiresAtMs: Date.now() + 300,
      }
    },
  })
  cleanups.push(() => strict.close())
  expect(await (await open(strict.address('a', '/ag-ui'))).closed).toEqual([4401, 'unauthorized'])
  expect(await (await open(strict.address('a', '/ag-ui?token=b'))).closed).toEqual([4403, 'forbidden'])
  const own = await open(strict.address('a', '/ag-ui?token=a'))
  own.run()
  expect(await own.closed).toEqual([4401, 'unauthorized'])
  expect(own.events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'unauthorized' })
})

test('a run finishes properly by its lifetime, and the connection is there for another', async () => {
  const short = await startServer({ limits: { feedLifetimeMs: 200 } })
  cleanups.push(() => short.close())
  const socket = await open(short.address('plan', '/ag-ui'))
  socket.run()
  await until('the end', () => typesOf(socket).includes('RUN_FINISHED'))
  socket.run({ mode: 'sync' })
  await until('another', () => socket.events.length === 6)
  expect(socket.webSocket.readyState).toBe(WebSocket.OPEN)
})

test.each([120_000, 500])(
  'a reader that does not read gets a net delta, or is cut off after %i ms',
  async (feedStallMs) => {
    const patient = await startServer({ feed: { pace: fastPace }, limits: { feedStallMs } })
    cleanups.push(() => patient.close())
    const proxy = await startProxy(patient.url)
    cleanups.push(() => proxy.close())
    const write = (n: number): Promise<unknown> =>
      send('PUT', patient.address('plan'), { json: { n, text: `${n}`.padEnd(1_000_000, 'x') } })
    await write(0)
    const socket = await open(`${proxy.url}/v1/documents/plan/ag-ui`)
    socket.run()
    await until('the state', () => socket.events.length === 2)
    proxy.pause()
    const slow = async (): Promise<boolean> =>
      (await patient.metrics.render()).body.includes('polyphony_feed_slow_readers 1')
    let n = 1
    for (; !(await slow()); n++) await write(n)
    if (feedStallMs > 1_000) {
      for (let more = 0; more < 10; more++) await write(n++)
      proxy.resume()
      const last = n - 1
      await until('the last change', () => JSON.stringify(socket.events.at(-1)).includes(`"value":${last}`))
      expect(socket.events.length).toBeLessThan(n - 5)
      return
    }
    await until('the cut', async () =>
      (await patient.metrics.render()).body.includes('polyphony_connections{face="ag-ui-websocket"} 0'),
    )
  },
)

test('connections count, and what is counted is let go of', async () => {
  const small = await startServer({ limits: { connectionsMax: 1 } })
  cleanups.push(() => small.close())
  const first = await open(small.address('plan', '/ag-ui'))
  first.run()
  await until('the state', () => first.events.length === 2)
  const second = await open(small.address('plan', '/ag-ui'))
  second.run()
  expect(await second.closed).toEqual([4429, 'too-many-connections'])
  first.webSocket.close()
  await first.closed
  const third = await open(small.address('plan', '/ag-ui'))
  third.run({ mode: 'sync' })
  await until('room for another', () => typesOf(third).includes('RUN_FINISHED'))
})

test('capabilities have the shape of the protocol and tell what is there', async () => {
  await put({})
  const { body, status } = await send('GET', server.address('plan', '/ag-ui'))
  expect(status).toBe(200)
  expect(AgentCapabilitiesSchema.parse(body)).toEqual(body)
  expect(body).toMatchObject({
    identity: { name: 'plan' },
    transport: { streaming: true, websocket: true, httpBinary: true, resumable: false },
    state: { snapshots: true, deltas: true, persistentState: true },
    tools: { supported: false },
    custom: {
      polyphony: {
        access: 'write',
        resumesFromVersion: true,
        messages: { shown: true, merge: true },
        agents: [],
      },
    },
  })
  // Reasoning is up to the agents of the application.
  expect(body).not.toHaveProperty('reasoning')
})

/** Flushes as fast as the reader takes it. */
const fastPace = {
  intervalMsMin: 1,
  readerBytesPerSecond: 1e12,
  totalBytesPerSecond: 1e12,
  burstMs: 1_000,
  workShare: 1,
}

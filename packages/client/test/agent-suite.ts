import type { Operation } from 'fast-json-patch'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import type { PolyphonyAgent } from '../src/agent/index.ts'
import {
  Bench,
  openEditor,
  send,
  startProxy,
  stateOf,
  synced,
  until,
  type TestServer,
} from './agent-support.ts'

const bench = new Bench()
let server: TestServer

/** What `PolyphonyAgent` promises, whichever version of the official client it is built on. */
export function agentSuite(): void {
  beforeEach(async () => {
    server = await bench.server()
  })
  afterEach(() => bench.close())
  describe('following', following)
  describe('writing', writing)
  describe('clones', clones)
}

const put = (json: unknown) => send('PUT', server.address('plan'), { json })
const patch = (patch: readonly Operation[]) => send('PATCH', server.address('plan'), { patch })
const address = (): string => server.address('plan', '/ag-ui')

function following(): void {
  test('connectAgent and runAgent watch: stock subscribers get the state and every change', async () => {
    await put({ title: 'one', list: [{ a: 1 }, { b: 2 }] })
    for (const start of ['connectAgent', 'runAgent'] as const) {
      const agent = bench.agent(address())
      const seen: unknown[] = []
      const types: string[] = []
      agent.subscribe({
        onStateChanged: ({ state }) => void seen.push(state),
        onEvent: ({ event }) => void types.push(event.type),
      })
      const done = agent[start]()
      await until('the state', () => agent.version !== undefined)
      const before = agent.state as { list: unknown[] }
      await patch([{ op: 'add', path: '/list/1/c', value: start }])
      await until('the change', () => JSON.stringify(agent.state).includes(start))
      expect(agent.state).toEqual(await stateOf(server, 'plan'))
      expect(seen.at(-1)).toBe(agent.state)
      const after = agent.state as { list: unknown[] }
      expect(after.list[0]).toBe(before.list[0])
      expect(after.list[1]).not.toBe(before.list[1])
      expect(types.slice(0, 3)).toEqual(['RUN_STARTED', 'STATE_SNAPSHOT', 'STATE_DELTA'])
      agent.abortRun()
      await done
      expect(agent.state).toBe(after)
    }
  })

  test('a sync run gets the state and ends; the next one gets what changed', async () => {
    await put({ n: 1 })
    const agent = bench.agent(address(), { mode: 'sync' })
    await agent.runAgent()
    expect(agent.state).toEqual({ n: 1 })
    const types: string[] = []
    agent.subscribe({ onEvent: ({ event }) => void types.push(event.type) })
    await patch([{ op: 'replace', path: '/n', value: 2 }])
    await agent.runAgent()
    expect(agent.state).toEqual({ n: 2 })
    expect(types).toEqual(['RUN_STARTED', 'STATE_DELTA', 'RUN_FINISHED'])
    await agent.runAgent()
    expect(types.slice(3)).toEqual(['RUN_STARTED', 'RUN_FINISHED'])
  })

  test('a broken connection is resumed with what was missed, without a snapshot, in the same run', async () => {
    await put({ n: 0 })
    const proxy = await startProxy(server.url)
    bench.onClose(() => proxy.close())
    const agent = bench.agent(address().replace(server.url, proxy.url))
    const types: string[] = []
    const connections: boolean[] = []
    agent.subscribe({
      onEvent: ({ event }) => void types.push(event.type),
      onConnectionChanged: ({ connected }) => void connections.push(connected),
    })
    const done = agent.connectAgent()
    await until('the state', () => agent.version !== undefined)
    for (let n = 1; n <= 3; n++) {
      proxy.cut()
      await patch([{ op: 'replace', path: '/n', value: n }])
      await until('the missed change', () => (agent.state as { n: number }).n === n)
    }
    agent.abortRun()
    await done
    expect(types).toEqual([
      'RUN_STARTED',
      'STATE_SNAPSHOT',
      'STATE_DELTA',
      'STATE_DELTA',
      'STATE_DELTA',
      'RUN_ERROR',
    ])
    expect(connections).toEqual([true, false, true, false, true, false, true, false])
  })

  test('an event that is missing, or spoiled, is noticed and healed', async () => {
    await put({ number: 0, other: 0 })
    let spoiled = 0
    const proxy = await startProxy(server.url, (piece) => {
      const text = piece.toString('latin1')
      if (spoiled > 1 || !text.includes('STATE_DELTA')) return piece
      spoiled += 1
      // The first is left out as if it had never been sent, of the second the path is wrong.
      const lost = text.replace(/[0-9a-f]+\r\nid: [\s\S]*?STATE_DELTA[\s\S]*?\n\n\r\n/, '')
      return Buffer.from(
        spoiled === 1 ? lost : text.replace('"path":"/number"', '"path":"/num/er"'),
        'latin1',
      )
    })
    bench.onClose(() => proxy.close())
    const headers = { 'accept-encoding': 'identity' }
    const agent = await bench.watch(address().replace(server.url, proxy.url), { headers })
    for (let n = 1; n <= 4; n++) {
      await patch([{ op: 'replace', path: '/number', value: n }])
      if (n === 1) await until('the loss', () => spoiled === 1)
      else await until('the state', () => (agent.state as { number: number }).number === n)
    }
    expect(spoiled).toBe(2)
    expect(agent.state).toEqual({ number: 4, other: 0 })
  })

  test('a server that goes away and comes back is waited for', async () => {
    await put({ n: 0 })
    const proxy = await startProxy(server.url)
    const { url } = proxy
    const agent = await bench.watch(address().replace(server.url, url))
    await proxy.close()
    await until('the loss', () => !agent.connected)
    await patch([{ op: 'replace', path: '/n', value: 1 }])
    const again = await startProxy(server.url, undefined, Number(new URL(url).port))
    bench.onClose(() => again.close())
    await until('the change', () => (agent.state as { n: number }).n === 1)
  })

  test('a stream that falls silent is given up', async () => {
    const quiet = await bench.server({ keepAliveMs: 60_000 })
    await send('PUT', quiet.address('plan'), { json: { n: 0 } })
    let connections = 0
    const agent = bench.agent(quiet.address('plan', '/ag-ui'), { silenceMs: 50 })
    agent.subscribe({ onConnectionChanged: ({ connected }) => void (connections += connected ? 1 : 0) })
    const done = agent.connectAgent()
    await until('a third connection', () => connections > 2)
    agent.abortRun()
    await done
  })

  test('what will not change ends the run', async () => {
    await put({ n: 0 })
    const gone = bench.agent(address())
    const codes: unknown[] = []
    gone.subscribe({ onRunErrorEvent: ({ event }) => void codes.push(event.code) })
    const done = gone.connectAgent()
    await until('the state', () => gone.version !== undefined)
    await send('DELETE', server.address('plan'))
    await done
    expect(codes).toEqual(['document-deleted'])
    await expect(bench.agent(address()).runAgent()).rejects.toMatchObject({ status: 410 })
  })

  test('an answer that is no event stream, or never ends as a run does, fails instead of being asked for again', async () => {
    await put({ n: 0 })
    let requests = 0
    const answering = (headers: Record<string, string>, body: string) => (): Promise<Response> => {
      requests += 1
      return Promise.resolve(new Response(body, { headers }))
    }
    const page = answering({ 'content-type': 'text/html; charset=utf-8' }, '<h1>Sign in</h1>')
    const atPage = bench.agent(address(), { fetch: page })
    await expect(atPage.connectAgent()).rejects.toThrow('text/html; charset=utf-8, not an event stream')
    expect(requests).toBe(1)
    const cut = answering(
      { 'content-type': 'text/event-stream' },
      'data: {"type":"RUN_STARTED","threadId":"t","runId":"r"}\n\n',
    )
    const once = bench.agent(address(), { fetch: cut, mode: 'sync', reconnect: { firstMs: 1, maxMs: 1 } })
    await expect(once.runAgent()).rejects.toThrow('ended before the run did')
    expect(requests).toBeLessThan(10)
  })

  test('a run can be aborted at any moment', async () => {
    const agent = bench.agent(address())
    for (const start of ['connectAgent', 'runAgent'] as const) {
      for (let turns = 0; turns < 12; turns++) {
        const done = agent[start]()
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
        agent.abortRun()
        await done
      }
    }
  })

  test('detaching closes the connection', async () => {
    const agent = await bench.watch(address())
    const open = async (): Promise<string | undefined> =>
      /polyphony_connections\{face="ag-ui"\} (\d+)/.exec(
        String((await send('GET', `${server.url}/metrics`)).body),
      )?.[1]
    expect(await open()).toBe('1')
    await agent.detachActiveRun()
    await until('the end', async () => (await open()) === '0')
  })

  test('a part of the document', async () => {
    await put({ mine: { n: 1 }, other: 1 })
    const agent = await bench.watch(address(), { pointer: '/mine' })
    expect(agent.state).toEqual({ n: 1 })
    agent.setState({ n: 2, m: 3 })
    await agent.flush()
    expect(await stateOf(server, 'plan')).toEqual({ mine: { n: 2, m: 3 }, other: 1 })
    expect(agent.state).toEqual({ n: 2, m: 3 })
  })

  test('a state in many frames is never seen in half', async () => {
    const small = await bench.server({ limits: { snapshotBytesMax: 50_000 } })
    const state = { rows: Array.from({ length: 2_000 }, (_, id) => ({ id, text: `row ${id}` })) }
    await send('PUT', small.address('plan'), { json: state })
    const agent = bench.agent(small.address('plan', '/ag-ui'), { mode: 'sync' })
    const sizes: number[] = []
    agent.subscribe({ onStateChanged: ({ state }) => void sizes.push(state.rows.length) })
    await agent.runAgent()
    expect(agent.state).toEqual(state)
    expect(sizes).toEqual([2_000])
  })

  test('long texts come as splices, and subscribers see ordinary deltas', async () => {
    const editor = openEditor(server.url, 'plan')
    bench.onClose(() => editor.close())
    const body = new Y.Text('a line of text 😀\n'.repeat(10_000))
    editor.doc.getMap('state').set('body', body)
    await synced(editor)
    let bytes = 0
    const fetch = async (url: string, init: RequestInit): Promise<Response> => {
      const response = await globalThis.fetch(url, init)
      const counted = response.body!.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(chunk, controller) {
            bytes += chunk.byteLength
            controller.enqueue(chunk)
          },
        }),
      )
      return new Response(counted, response)
    }
    const agent = bench.agent(address(), { fetch })
    const deltas: unknown[] = []
    agent.subscribe({ onStateDeltaEvent: ({ event }) => void deltas.push(...event.delta) })
    const done = agent.connectAgent()
    await until('the state', () => agent.version !== undefined)
    const before = bytes
    body.insert(50_000, 'here')
    await until('the change', () => (agent.state as { body: string }).body === body.toJSON())
    expect(bytes - before).toBeLessThan(1_000)
    expect(deltas.length).toBe(1)
    expect(deltas[0]).toEqual({ op: 'replace', path: '/body', value: body.toJSON() })
    agent.setState({ body: `${body.toJSON()}end` })
    await agent.flush()
    expect(body.toJSON().endsWith('end')).toBe(true)
    agent.abortRun()
    await done
  })
}

function writing(): void {
  test('what is set during a run is seen at once, sent as what it changes, and not lost', async () => {
    await put({
      title: 'old',
      list: [
        { id: 1, done: false },
        { id: 2, done: false },
      ],
      theirs: 0,
    })
    const agent = await bench.watch(address())
    const bodies: string[] = []
    const { fetch } = agent
    agent.fetch = (url, init) => {
      if (init.method === 'PATCH') bodies.push(init.body as string)
      return fetch(url, init)
    }
    const state = agent.state as { list: { id: number; done: boolean }[] }
    agent.setState({ ...state, list: [...state.list.with(1, { id: 2, done: true }), { id: 3, done: false }] })
    expect(agent.state).toMatchObject({ list: [{ id: 1 }, { id: 2, done: true }, { id: 3 }] })
    expect(agent.saved).toBe(false)
    await patch([
      { op: 'replace', path: '/theirs', value: 1 },
      { op: 'add', path: '/list/0', value: { id: 0, done: true } },
    ])
    await agent.flush()
    expect(agent.saved).toBe(true)
    const wanted = {
      title: 'old',
      theirs: 1,
      list: [
        { id: 0, done: true },
        { id: 1, done: false },
        { id: 2, done: true },
        { id: 3, done: false },
      ],
    }
    await until(
      'equal states',
      async () => JSON.stringify(agent.state) === JSON.stringify(await stateOf(server, 'plan')),
    )
    expect(await stateOf(server, 'plan')).toEqual(wanted)
    expect(bodies.map((body) => (JSON.parse(body) as { patch: unknown }).patch)).toEqual([
      [
        { op: 'replace', path: '/list/1/done', value: true },
        { op: 'add', path: '/list/2', value: { id: 3, done: false } },
      ],
    ])
  })

  test('edits that follow each other quickly all arrive', async () => {
    await put({ count: 0, log: [] })
    const agent = await bench.watch(address())
    for (let n = 1; n <= 50; n++) {
      const { log } = agent.state as { log: number[] }
      agent.setState({ count: n, log: [...log, n] })
      if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await agent.flush()
    const wanted = { count: 50, log: Array.from({ length: 50 }, (_, index) => index + 1) }
    expect(await stateOf(server, 'plan')).toEqual(wanted)
    expect(agent.state).toEqual(wanted)
  })

  test('an answer that is lost is asked for again and changes nothing twice', async () => {
    await put({ log: [] })
    const agent = await bench.watch(address())
    const { fetch } = agent
    let lost = 0
    agent.fetch = async (url, init) => {
      const answer = await fetch(url, init)
      if (init.method !== 'PATCH' || lost++ > 1) return answer
      throw new TypeError('The connection broke.')
    }
    agent.setState({ log: ['once'] })
    await agent.flush()
    expect(lost).toBe(3)
    expect(await stateOf(server, 'plan')).toEqual({ log: ['once'] })
    expect(agent.state).toEqual({ log: ['once'] })
  })

  test('what others made impossible is told', async () => {
    await put({
      list: [
        { id: 'a', n: 1 },
        { id: 'b', n: 1 },
      ],
    })
    const agent = await bench.watch(address())
    const told: unknown[] = []
    agent.subscribe({ onEditConflicts: ({ conflicts }) => void told.push(...conflicts) })
    const { fetch } = agent
    agent.fetch = async (url, init) => {
      if (init.method === 'PATCH') await patch([{ op: 'remove', path: '/list/0' }])
      return fetch(url, init)
    }
    agent.setState({
      list: [
        { id: 'a', n: 2 },
        { id: 'b', n: 2 },
      ],
    })
    await agent.flush()
    await until('the conflict', () => told.length > 0)
    expect(told).toMatchObject([{ reason: 'target-deleted', path: '/list/0/n' }])
    expect(agent.state).toEqual({ list: [{ id: 'b', n: 2 }] })
  })

  test('a subscriber that fails stops nothing, and takes no process with it', async () => {
    let mayWrite = true
    const guarded = await bench.server({
      authorize: () => ({ id: 'somebody', access: () => (mayWrite ? 'write' : 'read') }),
    })
    await send('PUT', guarded.address('plan'), { json: { n: 0 } })
    const agent = await bench.watch(guarded.address('plan', '/ag-ui'))
    mayWrite = false
    const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    bench.onClose(() => printed.mockRestore())
    const fail = (): never => {
      throw new Error('A bug of the application.')
    }
    const { unsubscribe } = agent.subscribe({ onEditRefused: fail, onStateChanged: fail })
    agent.setState({ n: 1 })
    await agent.flush()
    unsubscribe()
    expect(agent.state).toEqual({ n: 0 })
    expect(printed).toHaveBeenCalled()
    mayWrite = true
    agent.setState({ n: 2 })
    await agent.flush()
    expect(await stateOf(guarded, 'plan')).toEqual({ n: 2 })
  })

  test('what is refused is taken back for everybody to see, and what is allowed stays', async () => {
    let mayWrite = true
    const guarded = await bench.server({
      authorize: () => ({ id: 'somebody', access: () => (mayWrite ? 'write' : 'read') }),
    })
    const plan = guarded.address('plan')
    await send('PUT', plan, { json: { n: 0, m: 0 } })
    const agent = await bench.watch(guarded.address('plan', '/ag-ui'))
    const refused: unknown[] = []
    const seen: unknown[] = []
    agent.subscribe({
      onEditRefused: ({ error, patch }) => void refused.push({ code: error.code, patch }),
      onStateChanged: ({ state }) => void seen.push(state),
    })
    agent.setState({ n: 1, m: 0 })
    await agent.flush()
    mayWrite = false
    agent.setState({ n: 1, m: 2 })
    await agent.flush()
    expect(refused).toEqual([{ code: 'forbidden', patch: [{ op: 'replace', path: '/m', value: 2 }] }])
    expect(seen.at(-1)).toEqual({ n: 1, m: 0 })
    expect(agent.state).toBe(seen.at(-1))
    expect((await send('GET', plan)).body).toEqual({ n: 1, m: 0 })
  })

  test('what is set between runs is sent as well, and known to be the state', async () => {
    await put({ n: 0, theirs: 0 })
    const agent = bench.agent(address(), { mode: 'sync' })
    await agent.runAgent()
    await patch([{ op: 'replace', path: '/theirs', value: 1 }])
    agent.setState({ n: 1, theirs: 0 })
    await agent.flush()
    agent.setState({ n: 2, theirs: 0 })
    await agent.flush()
    expect(await stateOf(server, 'plan')).toEqual({ n: 2, theirs: 1 })
    expect(agent.state).toEqual({ n: 2, theirs: 0 })
    await agent.runAgent()
    expect(agent.state).toEqual({ n: 2, theirs: 1 })
  })

  test('a state that is assigned counts as set, and is merged when the next run begins', async () => {
    await put({ n: 0, theirs: 0 })
    const agent = bench.agent(address(), { mode: 'sync' })
    await agent.runAgent()
    await patch([{ op: 'replace', path: '/theirs', value: 1 }])
    agent.state = { n: 5, theirs: 0 }
    await agent.runAgent()
    expect(agent.state).toEqual({ n: 5, theirs: 1 })
    expect(await stateOf(server, 'plan')).toEqual({ n: 5, theirs: 1 })
  })

  test('a state that is assigned during a run is not lost with the next event', async () => {
    await put({ n: 0, theirs: 0 })
    const agent = await bench.watch(address())
    agent.state = { n: 5, theirs: 0 }
    await patch([{ op: 'replace', path: '/theirs', value: 1 }])
    await until('the change of others', () => (agent.state as { theirs: number }).theirs === 1)
    await agent.flush()
    expect(agent.state).toEqual({ n: 5, theirs: 1 })
    expect(await stateOf(server, 'plan')).toEqual({ n: 5, theirs: 1 })
  })

  test('what is set before anything is known overwrites nothing', async () => {
    await put({ n: 7, list: ['theirs'] })
    const agent = bench.agent(address())
    agent.setState({ n: 0, list: [], mine: true })
    const done = agent.connectAgent()
    await until('the state', () => agent.version !== undefined)
    await agent.flush()
    expect(await stateOf(server, 'plan')).toEqual({ n: 7, list: ['theirs'], mine: true })
    agent.abortRun()
    await done
  })

  test('an empty state forgets what is held, and deletes nothing', async () => {
    await put({ n: 1 })
    const agent = await bench.watch(address())
    agent.setState({})
    expect(agent.state).toEqual({})
    expect(agent.version).toBeUndefined()
    await patch([{ op: 'add', path: '/m', value: 2 }])
    await until('the state', () => agent.version !== undefined)
    expect(agent.state).toEqual({ n: 1, m: 2 })
    expect(await stateOf(server, 'plan')).toEqual({ n: 1, m: 2 })
  })

  test('a state cannot be changed in place by accident', async () => {
    await put({ list: [{ deep: 1 }] })
    const agent = await bench.watch(address())
    const state = agent.state as { list: { deep: number }[] }
    expect(() => state.list.push({ deep: 2 })).toThrow(TypeError)
    await patch([{ op: 'add', path: '/list/-', value: { deep: 3 } }])
    await until('the change', () => (agent.state as typeof state).list.length === 2)
    expect(() => ((agent.state as typeof state).list[1]!.deep = 4)).toThrow(TypeError)
  })

  test('a patch of its own, strict or not', async () => {
    await put({ list: ['a', 'b'] })
    const agent = await bench.watch(address())
    const at = agent.version!
    await patch([{ op: 'remove', path: '/list/0' }])
    await expect(
      agent.patch([{ op: 'replace', path: '/list/0', value: 'A' }], { anchor: at, policy: 'strict' }),
    ).rejects.toMatchObject({ status: 409, code: 'conflict' })
    const { conflicts } = await agent.patch([{ op: 'replace', path: '/list/1', value: 'B' }], { anchor: at })
    expect(conflicts).toEqual([])
    expect(agent.state).toEqual({ list: ['B'] })
  })
}

function clones(): void {
  test('a clone goes on from the same state, by itself', async () => {
    await put({ n: 0 })
    const agent = await bench.watch(address())
    const clone: PolyphonyAgent = agent.clone()
    expect(clone.state).toBe(agent.state)
    const types: string[] = []
    clone.subscribe({ onEvent: ({ event }) => void types.push(event.type) })
    clone.setState({ n: 1 })
    await clone.runAgent({ forwardedProps: { polyphony: { mode: 'sync' } } })
    expect(clone.state).toEqual({ n: 1 })
    await until('the original follows', () => (agent.state as { n: number }).n === 1)
    expect(types).not.toContain('STATE_SNAPSHOT')
  })
}

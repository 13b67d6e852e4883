import fc from 'fast-check'
import { SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { jwtAuthorizer } from '../src/jwt.ts'
import { openAgent, type AgentEvent } from './support/agents.ts'
import { until } from './support/editor.ts'
import { soak } from './support/fixtures.ts'
import { send, startServer, type Answer, type TestServer } from './support/http.ts'

const secret = 'a secret of thirty-two bytes or more'

function sign(documents: readonly unknown[], access?: string): Promise<string> {
  return new SignJWT({ documents, ...(access === undefined ? {} : { access }) })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('agent')
    .sign(new TextEncoder().encode(secret))
}

let server: TestServer
let owner: Record<string, string>
beforeEach(async () => {
  server = await startServer({ authorize: jwtAuthorizer({ secret }) })
  owner = { authorization: `Bearer ${await sign(['**'], 'write')}` }
})
afterEach(() => server.close())

const put = (documentId: string, json: unknown): Promise<Answer> =>
  send('PUT', server.address(documentId), { json, headers: owner })
const stateOf = async (documentId: string): Promise<unknown> =>
  (await send('GET', server.address(documentId), { headers: owner })).body

describe('a token that is limited to parts', () => {
  const state = {
    agent: { notes: { text: 'hello', list: [1, 2] }, mood: 'calm' },
    secret: { key: 'hunter2' },
    agents: 'not the same',
  }
  let scoped: Record<string, string>
  const doc = (below = ''): string => server.address('plan', below)
  const patch = (operations: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    send('PATCH', doc(), { patch: operations, headers: { ...scoped, ...headers } })
  beforeEach(async () => {
    const grant = { pattern: 'plan', access: 'write', read: ['/agent'], write: ['/agent/notes'] }
    scoped = { authorization: `Bearer ${await sign([grant])}` }
    await put('plan', state)
  })

  test('reads its part, and nothing else', async () => {
    expect((await send('GET', doc(), { headers: scoped })).body).toEqual(state.agent)
    expect((await send('GET', doc('?path=/agent/notes/text'), { headers: scoped })).body).toBe('hello')
    for (const path of ['/secret', '/secret/key', '/agents', '/agent~1', '/']) {
      const refused = await send('GET', doc(`?path=${path}`), { headers: scoped })
      expect(refused.status).toBe(403)
      expect(refused.body).toMatchObject({
        code: 'pointer-forbidden',
        documentId: 'plan',
        granted: { read: ['/agent'], write: ['/agent/notes'] },
      })
    }
  })

  test('learns from the capabilities what it may', async () => {
    const { body } = await send('GET', doc('/ag-ui'), { headers: scoped })
    const granted = { read: ['/agent'], write: ['/agent/notes'] }
    const messages = { shown: false, merge: false }
    expect(body).toMatchObject({ custom: { polyphony: { access: 'write', granted, messages, agents: [] } } })
  })

  test('with several parts it has to say which', async () => {
    const grant = { pattern: 'plan', access: 'read', read: ['/agent', '/agents'] }
    const headers = { authorization: `Bearer ${await sign([grant])}` }
    expect((await send('GET', doc(), { headers })).status).toBe(403)
    expect((await send('GET', doc('?path=/agents'), { headers })).body).toBe('not the same')
  })

  test('writes its part; anything else refuses the whole patch, and names the operation', async () => {
    const inside = { op: 'replace', path: '/agent/notes/text', value: 'bye' }
    expect((await patch([inside, { op: 'test', path: '/agent/mood', value: 'calm' }])).status).toBe(200)
    const outside: readonly unknown[] = [
      { op: 'replace', path: '/agent/mood', value: 'x' },
      { op: 'add', path: '', value: {} },
      { op: 'add', path: '/agent', value: {} },
      { op: 'remove', path: '/secret' },
      { op: 'test', path: '/secret/key', value: 'hunter2' },
      { op: 'copy', from: '/secret', path: '/agent/notes/stolen' },
      { op: 'move', from: '/agent/mood', path: '/agent/notes/mood' },
      { op: 'move', from: '/agent/notes/text', path: '/agent/text' },
    ]
    for (const operation of outside) {
      const refused = await patch([inside, operation])
      expect(refused.body).toMatchObject({ code: 'pointer-forbidden', index: 1 })
      expect(refused.status).toBe(403)
    }
    const copied = [{ op: 'copy', from: '/agent/mood', path: '/agent/notes/mood' }]
    expect((await patch(copied)).status).toBe(200)
    expect(await stateOf('plan')).toEqual({
      ...state,
      agent: { ...state.agent, notes: { text: 'bye', list: [1, 2], mood: 'calm' } },
    })
  })

  test('a merge patch is judged by what it names, so that its answer tells nothing of what is there', async () => {
    const merge = (body: unknown): Promise<Answer> =>
      send('PATCH', doc(), {
        body: JSON.stringify(body),
        type: 'application/merge-patch+json',
        headers: scoped,
      })
    expect((await merge({ agent: { notes: { text: 'merged' } } })).status).toBe(200)
    expect((await merge({ secret: { key: 'hunter2' } })).status).toBe(403)
    expect((await merge({ nothing: null })).status).toBe(403)
    expect((await merge({ secret: {} })).status).toBe(403)
    expect((await stateOf('plan')) as object).toMatchObject({ agent: { notes: { text: 'merged' } } })
  })

  test('PUT changes what is granted, three-way or not', async () => {
    const { version } = await send('GET', doc(), { headers: scoped })
    const next = { notes: { text: 'put' }, mood: 'calm' }
    expect((await send('PUT', doc(), { json: next, headers: scoped })).status).toBe(200)
    const anchored = { ...scoped, 'if-match': `"${version}"` }
    const based = { ...state.agent, notes: { ...state.agent.notes, more: true } }
    expect((await send('PUT', doc(), { json: based, headers: anchored })).status).toBe(200)
    expect(await stateOf('plan')).toMatchObject({ agent: { notes: { text: 'put', more: true } } })
    const wrong = await send('PUT', doc(), { json: { ...next, mood: 'wild' }, headers: scoped })
    expect(wrong.status).toBe(403)
    expect((await send('PUT', doc('?path=/secret'), { json: 1, headers: scoped })).status).toBe(403)
    expect(await stateOf('plan')).toMatchObject({ agent: { mood: 'calm' }, secret: state.secret })
  })

  test('whatever concerns the whole document is refused: deletion, creation, Yjs updates, Yjs sessions', async () => {
    const answers = [
      await send('DELETE', doc(), { headers: scoped }),
      await send('PUT', doc(), { json: {}, headers: { ...scoped, 'if-none-match': '*' } }),
      await send('GET', doc('/updates'), { headers: scoped }),
      await send('POST', doc('/updates'), {
        body: new Uint8Array([0, 0]),
        type: 'application/octet-stream',
        headers: scoped,
      }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403])
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/sync/plan`, { headers: scoped })
    const closed = await new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve([code, reason.toString()]))
    })
    expect(closed).toEqual([4403, 'pointer-forbidden'])
    expect(await stateOf('plan')).toEqual(state)
  })

  test('feeds and runs show the part, also when they do not ask for one', async () => {
    const refused = await send('GET', doc('/events?path=/secret'), { headers: scoped })
    expect(refused.body).toMatchObject({ code: 'pointer-forbidden' })
    const agent = openAgent('1.0.0', { url: doc('/ag-ui'), headers: scoped })
    const events: AgentEvent[] = []
    agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
    const done = agent.runAgent()
    await until('the part', () => (agent.state as { mood?: string }).mood === 'calm')
    expect(agent.state).toEqual(state.agent)
    await send('PATCH', doc(), {
      patch: [
        { op: 'add', path: '/secret/key', value: 'new' },
        { op: 'add', path: '/agent/mood', value: 'glad' },
      ],
      headers: owner,
    })
    await until('its change', () => (agent.state as { mood?: string }).mood === 'glad')
    agent.abortRun()
    await done
    expect(JSON.stringify(events)).not.toContain('secret')
    const wide = openAgent('1.0.0', { url: doc('/ag-ui'), headers: scoped })
    await expect(
      wide.runAgent({ forwardedProps: { polyphony: { pointer: '/secret' } } }),
    ).rejects.toMatchObject({ status: 403 })
  })

  test('what a run proposes is held to the same', async () => {
    const { version } = await send('GET', doc(), { headers: scoped })
    const propose = async (proposal: unknown): Promise<unknown> => {
      const initialState = proposal
      const agent = openAgent('1.0.0', { url: doc('/ag-ui'), headers: scoped, initialState })
      const polyphony = { mode: 'sync', version }
      return agent.runAgent({ forwardedProps: { polyphony } }).catch((error: unknown) => error)
    }
    expect(await propose({ ...state.agent, mood: 'wild' })).toMatchObject({ status: 403 })
    await propose({ ...state.agent, notes: { ...state.agent.notes, said: 'so' } })
    expect(await stateOf('plan')).toMatchObject({ agent: { mood: 'calm', notes: { said: 'so' } } })
  })
})

/** `state` without what is at `places`. */
function without(state: unknown, places: readonly string[]): unknown {
  const rest = structuredClone(state)
  for (const place of places) {
    const keys = place.split('/').slice(1)
    let parent = rest as Record<string, unknown> | undefined
    for (const key of keys.slice(0, -1)) {
      const next: unknown = parent?.[key]
      parent = typeof next === 'object' && next !== null ? (next as Record<string, unknown>) : undefined
    }
    if (parent !== undefined) delete parent[keys.at(-1) ?? '']
  }
  return rest
}

test('whatever is sent with such a token, nothing outside of its parts ever changes', async () => {
  const name = fc.constantFrom('a', 'b', 'c')
  const step = fc.constantFrom('a', 'b', 'c', 'ab', '0', '1', '-', '~0', '~1')
  const pointerOf = (part: fc.Arbitrary<string>, max: number): fc.Arbitrary<string> =>
    fc.array(part, { maxLength: max }).map((parts) => parts.map((each) => `/${each}`).join(''))
  const place = fc.array(name, { minLength: 1, maxLength: 2 }).map((parts) => `/${parts.join('/')}`)
  const value = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(0, 'text', null, true),
      fc.dictionary(name, tie('json'), { maxKeys: 3 }),
      fc.array(tie('json'), { maxLength: 3 }),
    ),
  })).json
  const object = fc.dictionary(name, value, { minKeys: 2, maxKeys: 3 })
  // "@" stands for a place that is granted; otherwise hardly any path would lead there.
  const path = fc.oneof(
    { weight: 4, arbitrary: pointerOf(step, 2).map((below) => `@${below}`) },
    { weight: 1, arbitrary: pointerOf(step, 3) },
  )
  const operation = fc.oneof(
    fc.record({ op: fc.constantFrom('add', 'replace', 'test'), path, value }),
    fc.record({ op: fc.constant('remove'), path }),
    fc.record({ op: fc.constantFrom('move', 'copy'), from: path, path }),
  )
  const request = fc.oneof(
    fc.record({
      kind: fc.constant('patch' as const),
      body: fc.array(operation, { minLength: 1, maxLength: 3 }),
      stale: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('merge' as const), body: value, stale: fc.boolean() }),
    fc.record({ kind: fc.constant('put' as const), body: value, path, stale: fc.boolean() }),
  )
  const counts = { taken: 0, forbidden: 0 }
  let number = 0
  await fc.assert(
    fc.asyncProperty(
      object,
      fc.array(place, { minLength: 1, maxLength: 2 }),
      fc.array(request, { minLength: 1, maxLength: 6 }),
      async (state, write, requests) => {
        const documentId = `random ${number++}`
        const { version } = await put(documentId, state)
        const token = await sign([{ pattern: documentId, access: 'write', read: [''], write }])
        const headers = { authorization: `Bearer ${token}` }
        const before = without(await stateOf(documentId), write)
        for (const { kind, body, stale, ...rest } of requests) {
          const anchor = stale && kind !== 'put' ? { 'polyphony-anchor': version } : {}
          const base = stale && kind === 'put' ? { 'if-match': `"${version}"` } : {}
          const place = write[0] ?? ''
          const path = 'path' in rest ? rest.path.replace('@', place) : ''
          const query = kind === 'put' ? `?path=${encodeURIComponent(path)}` : ''
          const answer = await send(kind === 'put' ? 'PUT' : 'PATCH', server.address(documentId, query), {
            body: JSON.stringify(body).replaceAll('"@', `"${place}`),
            type: {
              patch: 'application/json-patch+json',
              merge: 'application/merge-patch+json',
              put: 'application/json',
            }[kind],
            headers: { ...headers, ...anchor, ...base },
          })
          expect(answer.status).toBeLessThan(500)
          if (answer.status === 200) counts.taken += 1
          if (answer.status === 403) counts.forbidden += 1
          expect(without(await stateOf(documentId), write)).toEqual(before)
        }
      },
    ),
    { seed: 20261125, numRuns: soak ? 3_000 : 150 },
  )
  expect(counts.taken).toBeGreaterThan(30)
  expect(counts.forbidden).toBeGreaterThan(100)
}, 120_000)

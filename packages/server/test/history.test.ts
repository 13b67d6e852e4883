import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryStore } from '@polyphony/storage'
import * as Y from 'yjs'
import { openAgent } from './support/agents.ts'
import { openEditor, synced, until } from './support/editor.ts'
import { send, startServer, type TestServer } from './support/http.ts'

interface HistoryBody {
  readonly entries: readonly {
    readonly version: string
    readonly author: string
    readonly runId?: string
    readonly time: string
    readonly bytes: number
  }[]
  readonly next?: string
}

let server: TestServer
beforeEach(async () => {
  server = await startServer({
    // Whoever asks is who it says.
    authorize: ({ token = 'nobody' }) => ({ id: token, access: () => 'write' }),
  })
})
afterEach(() => server.close())

const as = (name: string): Record<string, string> => ({ authorization: `Bearer ${name}` })
const historyOf = async (query = ''): Promise<HistoryBody> =>
  (await send('GET', server.address('plan', `/history${query}`), { headers: as('reader') }))
    .body as HistoryBody

test('every entry tells its author and run, whichever face it came by', async () => {
  await send('PUT', server.address('plan'), { json: { n: 0 }, headers: as('ada') })
  const editor = openEditor(server.url, 'plan', { params: { token: 'bob' } })
  await synced(editor)
  editor.doc.getMap('state').set('typed', true)
  await until('the edit', async () => (await historyOf()).entries.length === 2)
  editor.close()
  const { version } = await send('PATCH', server.address('plan'), {
    patch: [{ op: 'replace', path: '/n', value: 1 }],
    headers: { ...as('agent'), 'polyphony-run-id': 'run-7' },
  })
  const agent = openAgent('1.0.0', {
    url: server.address('plan', '/ag-ui'),
    headers: as('client'),
    initialState: { n: 1, typed: true, proposed: 'x' },
  })
  await agent.runAgent({ runId: 'run-8', forwardedProps: { polyphony: { mode: 'sync', version } } })
  const { entries, next } = await historyOf()
  expect(entries.map(({ author, runId }) => [author, runId])).toEqual([
    ['client', 'run-8'],
    ['agent', 'run-7'],
    ['bob', undefined],
    ['ada', undefined],
  ])
  expect(next).toBeUndefined()
  expect(entries[1]?.version).toBe(version)
  for (const { bytes, time } of entries) {
    expect(bytes).toBeGreaterThan(0)
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000)
  }
  // Its versions are addresses: the state as it was, and an anchor for a patch.
  const then = await send('GET', server.address('plan', `?at=${entries[3]?.version}`), { headers: as('x') })
  expect(then.body).toEqual({ n: 0 })
})

test('in pages, the newest first', async () => {
  for (let n = 0; n < 25; n++)
    await send('PUT', server.address('plan'), { json: { n }, headers: as(`author-${n}`) })
  const seen: string[] = []
  let query = '?limit=10'
  let pages = 0
  for (let page = await historyOf(query); ; page = await historyOf(query)) {
    pages++
    seen.push(...page.entries.map(({ author }) => author))
    if (page.next === undefined) break
    query = `?limit=10&before=${page.next}`
  }
  expect(pages).toBe(3)
  expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `author-${24 - index}`))
})

test('only as far back as the log is retained', async () => {
  await server.close()
  const store = new MemoryStore({ retention: { entries: 3, bytes: Infinity, ageMs: Infinity } })
  server = await startServer({ store })
  for (let n = 0; n < 10; n++) await send('PUT', server.address('plan'), { json: { n } })
  const update = await fetch(server.address('plan', '/updates'))
  const state = new Uint8Array(await update.arrayBuffer())
  await store.checkpoint('plan', {
    revision: 8,
    stateVector: Y.encodeStateVectorFromUpdate(state),
    state: (async function* () {
      yield await Promise.resolve(state)
    })(),
  })
  const { version } = await send('GET', server.address('plan'))
  const retained = async (): Promise<number> => (await historyOf('?limit=1000')).entries.length
  await until('the rest to be removed', async () => (await retained()) < 10)
  const { entries, next } = await historyOf('?limit=1000')
  expect(entries[0]?.version).toBe(version)
  expect(entries.length).toBeGreaterThanOrEqual(2)
  // Whether there is more is known only by asking.
  if (next !== undefined) expect((await historyOf(`?before=${next}`)).entries.length).toBeLessThan(10)
})

test('what is refused', async () => {
  const status = async (id: string, query = ''): Promise<number> =>
    (await send('GET', server.address(id, `/history${query}`))).status
  expect(await status('nothing')).toBe(404)
  await send('PUT', server.address('plan'), { json: { n: 0 } })
  expect(await status('plan', '?limit=0')).toBe(400)
  expect(await status('plan', '?limit=1001')).toBe(400)
  expect(await status('plan', '?before=x')).toBe(400)
  expect(await status('plan', '?before=other.1')).toBe(409)
  await send('DELETE', server.address('plan'))
  expect(await status('plan')).toBe(410)
})

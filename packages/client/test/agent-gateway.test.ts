import { isDeepStrictEqual } from 'node:util'
import { afterEach, expect, test } from 'vitest'
import { startUpstream, text, type UpstreamRun } from '../../server/test/support/upstream.ts'
import { Bench, openEditor, send, startProxy, stateOf, synced, until } from './agent-support.ts'

const bench = new Bench()
afterEach(() => bench.close())

/** A server with an agent behind it that does what `behave` says. */
async function start(behave: (run: UpstreamRun) => unknown) {
  const upstream = await startUpstream(behave)
  bench.onClose(() => upstream.close())
  const server = await bench.server({ agents: { helper: { url: upstream.url } } })
  await send('PUT', server.address('plan'), { json: { items: [{ name: 'milk', done: false }] } })
  return { upstream, server }
}

test('an agent behind the server is run once; its state and its messages arrive, and what was set before is there', async () => {
  const { upstream, server } = await start((run) => {
    const id = `answer to ${run.input.runId}`
    run.start()
    run.send(
      { type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/items/0/done', value: true }] },
      text.start(id),
      text.content(id, 'Done.'),
      text.end(id),
    )
    run.finish()
  })
  // Also with what people put behind an address.
  for (const [index, below] of ['/agents/helper', '/agents/helper/', '/agents/helper?trace=1'].entries()) {
    await send('PUT', server.address('plan'), { json: { items: [{ name: 'milk', done: false }] } })
    const agent = bench.agent(server.address('plan', below))
    const watcher = await bench.watch(server.address('plan', '/ag-ui'))
    agent.messages = [{ id: `question-${index}`, role: 'user', content: 'Do it' }]
    const run = agent.runAgent({ runId: `run-${index}` })
    if (below.endsWith('/')) {
      // No such address: refused, once.
      await expect(run).rejects.toMatchObject({ status: 404 })
      continue
    }
    await run
    const state = { items: [{ name: 'milk', done: true }] }
    expect(agent.state).toEqual(state)
    expect(await stateOf(server, 'plan')).toEqual(state)
    await until('the watcher', () => isDeepStrictEqual(watcher.state, state))
    expect(agent.messages.at(-1)).toMatchObject({ role: 'assistant', content: 'Done.' })
    agent.setState({ items: [{ name: 'bread', done: true }] })
    await agent.flush()
    expect(agent.saved).toBe(true)
    expect(await stateOf(server, 'plan')).toEqual({ items: [{ name: 'bread', done: true }] })
  }
  expect(upstream.runs.length).toBe(2)
})

test('a run whose connection breaks fails and is not begun again', async () => {
  let answer = (): void => undefined
  const { upstream, server } = await start((run) => {
    run.start()
    run.send({ type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/items/0/done', value: true }] })
    answer = () => run.finish()
  })
  const proxy = await startProxy(server.url)
  bench.onClose(() => proxy.close())
  const agent = bench.agent(server.address('plan', '/agents/helper').replace(server.url, proxy.url))
  const editor = openEditor(server.url, 'plan')
  bench.onClose(() => editor.close())
  await synced(editor)
  const run = expect(agent.runAgent({ runId: 'run' })).rejects.toThrow()
  await until('what the agent did', () => JSON.stringify(editor.doc.getMap('state')).includes('"done":true'))
  proxy.cut()
  await run
  answer()
  expect(upstream.runs.length).toBe(1)
})

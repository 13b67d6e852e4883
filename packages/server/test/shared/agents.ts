import { readConversation, readRuns, type Message } from '@polyphony/ag-ui'
import { resolveLimits } from '@polyphony/core'
import { afterEach, expect, test } from 'vitest'
import { createPolyphonyServer, type PolyphonyServer } from '../../src/server.ts'
import { ignoreStrayRejections, openAgent, verifyStream, type AgentEvent } from '../support/agents.ts'
import { openEditor, synced, until } from '../support/editor.ts'
import { send } from '../support/http.ts'
import { startUpstream, text, type Upstream, type UpstreamRun } from '../support/upstream.ts'
import { startNode, type NodePlace } from './node-process.ts'
import type { OpenNode } from './scenarios.ts'

/** Says something and is silent then; its process lives as long as the test. */
function slow(run: UpstreamRun): void {
  run.start()
  run.send(
    text.start('a'),
    text.content('a', 'so far'),
    { type: 'TOOL_CALL_START', toolCallId: 'c', toolCallName: 'ask', parentMessageId: 'a' },
    { type: 'TOOL_CALL_ARGS', toolCallId: 'c', delta: '{' },
  )
}

type Chat = ReturnType<typeof openAgent> & { messages: Message[] }

const addressOf = (server: { readonly url: string }, below = ''): string =>
  `${server.url}/v1/documents/doc${below}`

/** What servers that share a store promise about messages and runs of agents, whatever the store. */
export function sharedAgentTests(openNode: OpenNode, placeOf?: () => NodePlace): void {
  const cleanups: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  })

  async function startAgent(behave: (run: UpstreamRun) => unknown): Promise<Upstream> {
    const upstream = await startUpstream(behave)
    cleanups.push(() => upstream.close())
    return upstream
  }

  async function start(upstream?: Upstream, limits = {}): Promise<PolyphonyServer> {
    const server = await createPolyphonyServer({
      ...(await openNode()),
      port: 0,
      limits: resolveLimits(limits),
      agents: upstream === undefined ? {} : { helper: { url: upstream.url } },
    })
    cleanups.push(() => server.close(2_000))
    return server
  }

  function connect(url: string): { readonly agent: Chat; readonly events: AgentEvent[] } {
    const agent = openAgent('1.0.0', { url }) as Chat
    const events: AgentEvent[] = []
    agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
    return { agent, events }
  }

  function watch(server: { readonly url: string }) {
    const watcher = connect(addressOf(server, '/ag-ui'))
    const ended = watcher.agent.runAgent()
    cleanups.push(async () => {
      watcher.agent.abortRun()
      await ended
    })
    return watcher
  }

  test('a run is stopped from another server, and everybody sees the end', async () => {
    const upstream = await startAgent(slow)
    const [here, there] = [await start(upstream), await start(upstream)]
    const watcher = watch(there)
    const { agent, events } = connect(addressOf(here, '/agents/helper'))
    const done = agent.runAgent({ runId: 'r' })
    await until('the words on the other server', () => watcher.agent.messages[0]?.content === 'so far')
    expect((await send('DELETE', addressOf(there, '/agents/helper/runs/r'))).status).toBe(202)
    await done
    expect(events.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'run-cancelled' })
    await until('the watcher to see the end', () =>
      watcher.events.some(({ type }) => type === 'TEXT_MESSAGE_END'),
    )
    await until('the other server to know', async () =>
      JSON.stringify((await send('GET', addressOf(there, '/messages'))).body).includes('"cancelled"'),
    )
    await until('the agent to be let go', () => upstream.runs[0]!.isGone())
    await verifyStream(events)
    await verifyStream(watcher.events)
  })

  test('one history that comes to two servers at once is in the document once, and in order', async () => {
    const servers = [await start(), await start()]
    const history = Array.from({ length: 50 }, (_, n) => ({ id: `m${n}`, role: 'user', content: `${n}` }))
    for (let round = 1; round <= 3; round++) {
      const messages = history.slice(0, round * 10)
      const polyphony = { mode: 'sync', messages: { merge: true } }
      const answers = await Promise.all(
        servers.map((server, index) =>
          send('POST', addressOf(server, '/ag-ui'), {
            json: { threadId: 't', runId: `${round}.${index}`, messages, forwardedProps: { polyphony } },
          }),
        ),
      )
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      const ids = messages.map(({ id }) => id)
      for (const server of servers) {
        await until('the messages', async () => (await storedIn(server)).length >= ids.length)
        expect((await storedIn(server)).map(({ id }) => id)).toEqual(ids)
      }
    }
  })

  test('a run of a server that is gone is ended on another one, for those who watch there', async () => {
    const upstream = await startAgent(slow)
    const limits = { runSilentMs: 1_000 }
    const [place] = placeOf === undefined ? [] : [placeOf()]
    const agents = { helper: { url: upstream.url } }
    const leaving =
      place === undefined ? await start(upstream, limits) : await startNode({ ...place, agents, limits })
    if ('kill' in leaving) cleanups.push(() => leaving.kill())
    const staying = await start(undefined, limits)
    const editor = openEditor(staying.url, 'doc')
    cleanups.push(() => editor.close())
    await synced(editor)
    const watcher = watch(staying)
    const caller = connect(addressOf(leaving, '/agents/helper'))
    const stopIgnoring = ignoreStrayRejections()
    cleanups.push(stopIgnoring)
    const done = caller.agent.runAgent({ runId: 'r' }).catch(() => undefined)
    const call = () => watcher.agent.messages[0] as { toolCalls?: { function: { arguments: string } }[] }
    await until('the words on the other server', () => call()?.toolCalls?.[0]?.function.arguments === '{')
    const run = () => readRuns(editor.doc)[0]
    // A run that lives is left alone, however long its agent thinks.
    const began = run()?.aliveAtMs ?? 0
    await until('signs of life', () => (run()?.aliveAtMs ?? 0) > began + 1_500)
    expect(run()?.status).toBe('running')
    if ('kill' in leaving) await leaving.kill()
    else await leaving.close(0)
    await done
    await until('the run to be ended', () => run()?.status === 'failed')
    expect(readConversation(editor.doc)[0]?.stored).toMatchObject({
      content: 'so far',
      status: 'interrupted',
      toolCalls: [{ arguments: '{', status: 'interrupted' }],
    })
    await until('the watcher to see it', () =>
      ['TEXT_MESSAGE_END', 'TOOL_CALL_END'].every((end) => watcher.events.some(({ type }) => type === end)),
    )
    await verifyStream(watcher.events)
  })
}

async function storedIn(server: PolyphonyServer): Promise<readonly { readonly id: string }[]> {
  const { body } = await send('GET', addressOf(server, '/messages'))
  return (body as { messages: { id: string }[] }).messages
}

import { readConversation, readRuns, type Message } from '@polyphony/ag-ui'
import { MemoryStore } from '@polyphony/storage'
import { afterEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { AgentOptions } from '../src/agent-options.ts'
import {
  clientVersions,
  openAgent,
  verifyStream,
  type AgentEvent,
  type OfficialAgent,
} from './support/agents.ts'
import { openEditor, synced, until, type Editor } from './support/editor.ts'
import { send, startServer, type TestServer, type TestServerOptions } from './support/http.ts'
import { startUpstream, text, type Upstream, type UpstreamRun } from './support/upstream.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface Setting {
  readonly server: TestServer
  readonly upstream: Upstream
  readonly editor: Editor
}

async function start(
  behave: (run: UpstreamRun) => unknown,
  { agent = {}, ...options }: TestServerOptions & { readonly agent?: Partial<AgentOptions> } = {},
): Promise<Setting> {
  const upstream = await startUpstream(behave)
  cleanups.push(() => upstream.close())
  const server = await startServer({
    ...options,
    agents: {
      helper: { url: upstream.url, headers: { authorization: 'Bearer secret-of-the-agent' }, ...agent },
    },
  })
  cleanups.push(() => server.close())
  const editor = openEditor(server.url, 'plan')
  cleanups.push(() => editor.close())
  await synced(editor)
  return { server, upstream, editor }
}

type Chat = OfficialAgent & { messages: Message[] }

function call(
  { server }: Setting,
  version: (typeof clientVersions)[number] = '1.0.0',
  messages: Message[] = [],
) {
  const agent = openAgent(version, { url: server.address('plan', '/agents/helper') }) as Chat
  agent.messages = messages
  const events: AgentEvent[] = []
  agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
  const begin = (runId: string, more: object = {}): Promise<unknown> => agent.runAgent({ runId, ...more })
  return { agent, events, begin }
}

const stateOf = ({ editor }: Setting) => editor.doc.getMap('state').toJSON()
const storedIn = ({ editor }: Setting) => readConversation(editor.doc).map(({ stored }) => stored)
const runIn = ({ editor }: Setting, runId: string) => readRuns(editor.doc).find((run) => run.runId === runId)
const lastError = (events: readonly AgentEvent[]) => events.findLast(({ type }) => type === 'RUN_ERROR')?.code

describe.each(clientVersions)('called by the official client %s', (version) => {
  test('an agent works on the state and answers, everybody sees it, and edits of people meanwhile stay', async () => {
    const setting = await start(async (run) => {
      run.start()
      if (run.input.runId === 'run-2') return run.finish()
      run.send(
        { type: 'STEP_STARTED', stepName: 'think' },
        { type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/items/1/done', value: true }] },
        text.start('answer'),
        text.content('answer', 'I '),
      )
      await until('the first words to be seen', () =>
        storedIn(setting).some(({ content }) => content === 'I '),
      )
      // A person edits what the agent works on, and inserts above it.
      const items = setting.editor.doc.getMap('state').get('items') as Y.Array<Y.Map<unknown>>
      items.insert(0, [new Y.Map([['name', 'first']])])
      await until('the edit to be stored', async () =>
        JSON.stringify((await send('GET', setting.server.address('plan'))).body).includes('first'),
      )
      run.send(
        { type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/items/1/name', value: 'bread' }] },
        text.content('answer', 'did it'),
        text.end('answer'),
        { type: 'CUSTOM', name: 'note', value: 1 },
        { type: 'TOOL_CALL_START', toolCallId: 'c1', toolCallName: 'ask' },
        { type: 'TOOL_CALL_ARGS', toolCallId: 'c1', delta: '{"sure":' },
        { type: 'TOOL_CALL_ARGS', toolCallId: 'c1', delta: 'true}' },
        { type: 'TOOL_CALL_END', toolCallId: 'c1' },
        { type: 'STEP_FINISHED', stepName: 'think' },
      )
      run.finish()
    })
    await send('PUT', setting.server.address('plan'), {
      json: { items: [{ name: 'milk' }, { name: 'bred', done: false }] },
    })
    const { agent, events, begin } = call(setting, version, [{ id: 'q', role: 'user', content: 'Do it' }])
    const tools = [{ name: 'ask', description: 'Asks', parameters: {} }]
    const context = [{ description: 'language', value: 'en' }]
    await begin('run-1', { tools, context, forwardedProps: { model: 'x', polyphony: { messages: true } } })

    const items = [{ name: 'first' }, { name: 'milk' }, { name: 'bread', done: true }]
    expect(agent.state).toEqual({ items })
    expect(stateOf(setting)).toEqual({ items })
    expect(agent.messages).toMatchObject([
      { id: 'q', content: 'Do it' },
      { id: 'answer', role: 'assistant', content: 'I did it' },
      { role: 'assistant', toolCalls: [{ id: 'c1', function: { name: 'ask', arguments: '{"sure":true}' } }] },
    ])
    const types = events.map(({ type }) => type)
    expect(types.filter((type) => /STEP|CUSTOM|RUN/.test(type))).toEqual([
      'RUN_STARTED',
      'STEP_STARTED',
      'CUSTOM',
      'STEP_FINISHED',
      'RUN_FINISHED',
    ])
    expect(types.indexOf('TEXT_MESSAGE_CONTENT')).toBeGreaterThan(types.indexOf('STEP_STARTED'))
    expect(types.lastIndexOf('TOOL_CALL_END')).toBeLessThan(types.indexOf('STEP_FINISHED'))
    await verifyStream(events)

    await until('the editor to know the end', () => runIn(setting, 'run-1')?.status === 'finished')
    expect(storedIn(setting)).toMatchObject([
      { id: 'q', author: 'local' },
      { id: 'answer', status: 'complete', runId: 'run-1', author: 'agent:helper' },
      { toolCalls: [{ id: 'c1', status: 'running' }] },
    ])
    expect(runIn(setting, 'run-1')?.steps).toEqual([{ name: 'think', status: 'finished' }])
    const { input, request } = setting.upstream.runs[0]!
    expect(input).toMatchObject({
      runId: 'run-1',
      messages: [{ id: 'q', content: 'Do it' }],
      tools: [{ name: 'ask' }],
      context,
      forwardedProps: { model: 'x' },
      state: { items: [{ name: 'milk' }, { name: 'bred', done: false }] },
    })
    expect(input.forwardedProps).not.toHaveProperty('polyphony')
    expect(request.headers.authorization).toBe('Bearer secret-of-the-agent')

    // The frontend ran the tool; its answer comes with the next run.
    agent.messages = [...agent.messages, { id: 'yes', role: 'tool', toolCallId: 'c1', content: 'ok' }]
    await begin('run-2')
    await until('the call to be answered', () =>
      storedIn(setting).some(({ toolCalls }) => toolCalls?.[0]?.status === 'result'),
    )
  })
})

test('a snapshot of the agent changes what the agent changed, and nothing else', async () => {
  const setting = await start(async (run) => {
    run.start()
    const given = run.input.state as { title: string; count: number }
    setting.editor.doc.getMap('state').set('title', 'by a person')
    await until('the edit to be stored', async () =>
      JSON.stringify((await send('GET', setting.server.address('plan'))).body).includes('person'),
    )
    run.send({ type: 'STATE_SNAPSHOT', snapshot: { ...given, count: given.count + 1 } })
    run.finish()
  })
  await send('PUT', setting.server.address('plan'), { json: { title: 'old', count: 1 } })
  const { agent, begin } = call(setting)
  await begin('r')
  expect(agent.state).toEqual({ title: 'by a person', count: 2 })
})

test('a token is not an entry of the log, and every entry names agent and run', async () => {
  const store = new MemoryStore()
  const setting = await start(
    (run) => {
      run.start()
      run.send(text.start('a'))
      for (let n = 0; n < 500; n++) run.send(text.content('a', `${n} `))
      run.send(text.end('a'))
      run.finish()
    },
    { store },
  )
  await call(setting).begin('r')
  const authors: string[] = []
  for await (const item of store.read('plan'))
    if ('meta' in item) authors.push(`${item.meta.author} ${item.meta.runId}`)
  expect(authors.length).toBeLessThan(12)
  expect(authors.slice(1).every((author) => author === 'agent:helper r')).toBe(true)
  expect(storedIn(setting)[0]?.content).toHaveLength(1_890)
})

describe('an agent that fails', () => {
  const half = [text.start('a'), text.content('a', 'half')] as const
  const cases: Record<string, [(run: UpstreamRun) => unknown, string, Partial<AgentOptions>?]> = {
    'ends in mid-message': [(run) => (run.start(), run.send(...half), run.response.end()), 'agent-failed'],
    'breaks the connection': [
      (run) => (run.start(), run.send(...half), setTimeout(() => run.response.destroy(), 50)),
      'agent-failed',
    ],
    'reports an error of its own': [
      (run) => (run.start(), run.send(...half, { type: 'RUN_ERROR', message: 'no', code: 'E42' })),
      'E42',
    ],
    'sends what is not JSON': [
      (run) => (run.start(), run.send(...half), run.response.write('data: {\n\n')),
      'agent-failed',
    ],
    'sends a malformed event': [
      (run) => (run.start(), run.send(...half, { type: 'TEXT_MESSAGE_CONTENT', messageId: 'a' })),
      'agent-failed',
    ],
    'sends events out of order': [
      (run) => (run.start(), run.send(...half, text.content('b', 'x'))),
      'agent-failed',
    ],
    'finishes with a message open': [(run) => (run.start(), run.send(...half), run.finish()), 'agent-failed'],
    'falls silent': [(run) => (run.start(), run.send(...half)), 'agent-timeout', { idleTimeoutMs: 200 }],
    'takes too long': [
      (run) => {
        run.start()
        run.send(...half)
        const timer = setInterval(() => run.response.write(': alive\n\n'), 20)
        run.response.on('close', () => clearInterval(timer))
      },
      'agent-timeout',
      { timeoutMs: 300 },
    ],
  }
  test.each(Object.entries(cases))('%s', async (_, [behave, code, agent = {}]) => {
    const setting = await start(behave, { agent })
    const { agent: caller, events, begin } = call(setting)
    await begin('r')
    expect(lastError(events)).toBe(code)
    await verifyStream(events)
    expect(caller.messages).toMatchObject([{ id: 'a', content: 'half' }])
    await until('the end to be noted', () => runIn(setting, 'r')?.status === 'failed')
    expect(storedIn(setting)).toMatchObject([{ id: 'a', content: 'half', status: 'interrupted' }])
    await until('the agent to be let go', () => setting.upstream.runs[0]!.isGone())
  })

  test('before it begins', async () => {
    const refusing = await start(({ response }) => response.writeHead(500).end('details'))
    const { events, begin } = call(refusing)
    await begin('r')
    expect(lastError(events)).toBe('agent-failed')
    expect(JSON.stringify(events)).not.toContain('details')
    await refusing.upstream.close()
    const again = call(refusing)
    await again.begin('r2')
    expect(lastError(again.events)).toBe('agent-failed')
    expect(refusing.server.logs.join('')).not.toContain('secret-of-the-agent')
  })

  test('by an event beyond the limit, a text beyond the limit, or a redirect', async () => {
    for (const [behave, code] of [
      [
        (run: UpstreamRun) => (run.start(), run.response.write(`data: ${'x'.repeat(60_000)}`)),
        'agent-failed',
      ],
      [
        (run: UpstreamRun) => (run.start(), run.send(text.start('a'), text.content('a', 'y'.repeat(2_000)))),
        'message-too-large',
      ],
      [
        ({ response }: UpstreamRun) => response.writeHead(302, { location: '/elsewhere' }).end(),
        'agent-failed',
      ],
    ] as const) {
      const setting = await start(behave, { limits: { agentEventBytesMax: 50_000, messageLengthMax: 1_000 } })
      const { events, begin } = call(setting)
      await begin('r')
      expect(lastError(events)).toBe(code)
    }
  })
})

test('comments with which an agent keeps its stream alive add up to nothing, however its lines end', async () => {
  const behave = (run: UpstreamRun): void => {
    run.start()
    for (let count = 0; count < 60; count++) run.response.write(`: ${'x'.repeat(1_000)}\r\n\r\n`)
    run.response.write(': the last\r\n\r\n', () => setImmediate(() => run.finish()))
  }
  const setting = await start(behave, { limits: { agentEventBytesMax: 50_000 } })
  const { events, begin } = call(setting)
  await begin('r')
  expect(lastError(events)).toBeUndefined()
})

test('a patch that does not apply is reported and skipped, as the official client would', async () => {
  const setting = await start((run) => {
    run.start()
    run.send(
      { type: 'STATE_DELTA', delta: [{ op: 'replace', path: '/nowhere/at/all', value: 1 }] },
      { type: 'STATE_DELTA', delta: [{ op: 'add', path: '/fine', value: 1 }] },
    )
    run.finish()
  })
  const { agent, events, begin } = call(setting)
  await begin('r')
  expect(agent.state).toEqual({ fine: 1 })
  expect(events.find(({ name }) => name === 'polyphony.patch-refused')?.value).toMatchObject({
    code: 'invalid-patch',
  })
})

/** An agent that goes on until it is told to stop, or its caller is gone. */
function slow(run: UpstreamRun): void {
  run.start()
  run.send(text.start('a'), text.content('a', 'so far'))
}

describe('a run', () => {
  test('goes on when its caller leaves, is seen by others, and ends when somebody stops it', async () => {
    const setting = await start(slow)
    const { agent, begin } = call(setting)
    const done = begin('r')
    await until('it to be under way', () => agent.messages.length === 1)
    agent.abortRun()
    await done
    setting.upstream.runs[0]!.send(text.content('a', ', and on'))
    await until('what came later', () => storedIn(setting)[0]?.content === 'so far, and on')
    const watcher = openAgent('1.0.0', { url: setting.server.address('plan', '/ag-ui') }) as Chat
    const watching = watcher.runAgent()
    await until('somebody else to see it', () => watcher.messages[0]?.content === 'so far, and on')
    const address = setting.server.address('plan', '/agents/helper/runs/r')
    expect((await send('DELETE', address)).status).toBe(202)
    await until('it to be stopped', () => runIn(setting, 'r')?.status === 'cancelled')
    expect(storedIn(setting)[0]?.status).toBe('interrupted')
    expect((await send('DELETE', address)).body).toMatchObject({ code: 'run-not-found' })
    watcher.abortRun()
    await watching
    expect((await send('GET', setting.server.address('plan', '/messages'))).body).toMatchObject({
      messages: [{ id: 'a', status: 'interrupted' }],
      runs: [{ runId: 'r', status: 'cancelled', agent: 'helper' }],
    })
  })

  test('ends when its caller leaves, if so configured', async () => {
    const setting = await start(slow, { agent: { onDisconnect: 'cancel' } })
    const { agent, begin } = call(setting)
    const done = begin('r')
    await until('it to be under way', () => agent.messages.length === 1)
    agent.abortRun()
    await done
    await until('it to be stopped', () => runIn(setting, 'r')?.status === 'cancelled')
    await until('the agent to be let go', () => setting.upstream.runs[0]!.isGone())
  })

  test('is noted as failed when the server shuts down', async () => {
    const store = new MemoryStore()
    const setting = await start(slow, { store })
    const { agent, events, begin } = call(setting)
    const done = begin('r')
    await until('it to be under way', () => agent.messages.length === 1)
    const noted = until('the editor to know', () => runIn(setting, 'r')?.status === 'failed')
    await setting.server.close()
    await done
    await noted
    expect(lastError(events)).toBe('shutting-down')
    expect(runIn(setting, 'r')?.error?.code).toBe('shutting-down')
  })

  test('that cannot begin is noted as failed, and is in the way of nobody', async () => {
    const setting = await start(slow, { limits: { messagesMax: 2, documentAgentRunsMax: 1 } })
    const messages = ['1', '2', '3'].map((id) => ({ id, role: 'user', content: id }))
    for (const runId of ['r1', 'r2']) {
      const json = { threadId: 't', runId, messages }
      const { body } = await send('POST', setting.server.address('plan', '/agents/helper'), { json })
      expect(body).toMatchObject({ code: 'too-many-messages' })
      await until('the end to be noted', () => runIn(setting, runId)?.error?.code === 'too-many-messages')
      expect(runIn(setting, runId)?.status).toBe('failed')
    }
    expect(setting.upstream.runs).toEqual([])
  })

  test('has an id of its own, an agent that may run there, and a place', async () => {
    const setting = await start(slow, { agent: { documents: ['pl*'] }, limits: { documentAgentRunsMax: 1 } })
    const { agent, begin } = call(setting)
    const done = begin('r')
    await until('it to be under way', () => agent.messages.length === 1)
    const ask = async (documentId: string, name: string, runId = 'x') => {
      const json = { threadId: 't', runId, messages: [], tools: [], context: [] }
      const answer = await send('POST', setting.server.address(documentId, `/agents/${name}`), { json })
      return `${answer.status} ${(answer.body as { code?: string }).code}`
    }
    for (const [documentId, agents] of Object.entries({ plan: ['helper'], other: [] })) {
      const { body } = await send('GET', setting.server.address(documentId, '/ag-ui'))
      expect(body).toMatchObject({ custom: { polyphony: { agents } } })
    }
    expect(await ask('plan', 'nobody')).toBe('404 agent-not-found')
    expect(await ask('other', 'helper')).toBe('404 agent-not-found')
    expect(await ask('plan', 'helper')).toBe('429 too-many-runs')
    await send('DELETE', setting.server.address('plan', '/agents/helper/runs/r'))
    await done
    await until('the place to be free', async () => (await ask('plan', 'helper', 'r')) === '409 run-exists')
  })
})

test('two agents at once, each in a document of people who type, and a watcher whose stream is valid', async () => {
  const setting = await start(async (run) => {
    run.start()
    const { runId } = run.input
    run.send(text.start(runId))
    for (let n = 0; n < 30; n++) {
      run.send(text.content(runId, `${n},`), {
        type: 'STATE_DELTA',
        delta: [{ op: 'add', path: `/${runId}`, value: n }],
      })
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    run.send(text.end(runId))
    run.finish()
  })
  const watcher = openAgent('1.0.0', { url: setting.server.address('plan', '/ag-ui') }) as Chat
  const seen: AgentEvent[] = []
  watcher.subscribe({ onEvent: ({ event }) => void seen.push(event) })
  const watching = watcher.runAgent()
  const callers = [call(setting), call(setting)]
  const state = setting.editor.doc.getMap('state')
  const typing = setInterval(() => state.set('person', Number(state.get('person') ?? 0) + 1), 7)
  await Promise.all(callers.map(({ begin }, index) => begin(`run${index}`)))
  clearInterval(typing)
  const numbers = Array.from({ length: 30 }, (_, n) => `${n},`).join('')
  await until(
    'everything to be seen',
    () => JSON.stringify(watcher.state) === JSON.stringify(stateOf(setting)),
  )
  await until('all words', () => watcher.messages.every(({ content }) => content === numbers))
  expect(stateOf(setting)).toMatchObject({ run0: 29, run1: 29 })
  watcher.abortRun()
  await watching
  expect(watcher.messages.map(({ id }) => id).toSorted()).toEqual(['run0', 'run1'])
  for (const events of [seen, ...callers.map((caller) => caller.events)]) await verifyStream(events)
})

import { messagesRoot, writeMessages, type Message } from '@polyphony/ag-ui'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import {
  clientVersions,
  openAgent,
  verifyStream,
  type AgentEvent,
  type OfficialAgent,
} from './support/agents.ts'
import { openEditor, synced, until, type Editor } from './support/editor.ts'
import { send, startServer, type TestServer } from './support/http.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

let server: TestServer
let editor: Editor
beforeEach(async () => {
  server = await startServer()
  cleanups.push(() => server.close())
  editor = openEditor(server.url, 'talk')
  cleanups.push(() => editor.close())
  await synced(editor)
})

type Chat = OfficialAgent & { messages: Message[] }

function watch(version: (typeof clientVersions)[number], messages?: unknown, known: Message[] = []) {
  const agent = openAgent(version, { url: server.address('talk', '/ag-ui') }) as Chat
  agent.messages = known
  const events: AgentEvent[] = []
  agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
  const done = agent.runAgent(messages === undefined ? {} : { forwardedProps: { polyphony: { messages } } })
  cleanups.push(() => {
    agent.abortRun()
    return done
  })
  return { agent, events, done }
}

const add = (message: Message, status: 'streaming' | 'complete' = 'complete') =>
  writeMessages(editor.doc, [{ type: 'add', message, status, place: 'end' }], {})
const append = (id: string, delta: string) => writeMessages(editor.doc, [{ type: 'append', id, delta }], {})
const typesOf = (events: readonly AgentEvent[]) =>
  events.map(({ type }) => type).filter((type) => /MESSAGE|TOOL/.test(type))

describe.each(clientVersions)('official client %s', (version) => {
  test('sees an answer grow beside the state, joins late, and sees a person correct it', async () => {
    const early = watch(version)
    await until('the state to arrive', () => early.events.some(({ type }) => type === 'STATE_SNAPSHOT'))
    add({ id: 'q', role: 'user', content: 'How many?' })
    add({ id: 'a', role: 'assistant', content: '' }, 'streaming')
    for (const word of ['There ', 'are ', 'forty']) {
      append('a', word)
      editor.doc.getMap('state').set('word', word)
      await until('the word to arrive', () => JSON.stringify(early.agent.messages).includes(word))
    }
    const late = watch(version)
    await until('the late one to see it', () => late.agent.messages.at(-1)?.content === 'There are forty')
    append('a', ' two')
    writeMessages(editor.doc, [{ type: 'status', id: 'a', status: 'complete' }], {})
    const expected = [
      { id: 'q', role: 'user', content: 'How many?' },
      { id: 'a', role: 'assistant', content: 'There are forty two' },
    ]
    for (const { agent } of [early, late])
      await until('the end', () => agent.messages.at(-1)?.content === 'There are forty two')
    expect(early.agent.messages).toEqual(expected)
    expect(late.agent.messages).toEqual(expected)
    expect(typesOf(early.events)).not.toContain('MESSAGES_SNAPSHOT')
    expect(typesOf(late.events).slice(0, 2)).toEqual(['MESSAGES_SNAPSHOT', 'TEXT_MESSAGE_START'])
    await until('the state', () => (late.agent.state as { word?: string }).word === 'forty')

    const text = (editor.doc.getArray(messagesRoot).get(1) as Y.Map<Y.Text>).get('content')!
    text.insert(0, 'Oh! ')
    for (const { agent } of [early, late])
      await until('the correction', () => agent.messages.at(-1)?.content === 'Oh! There are forty two')
    expect(typesOf(early.events).at(-1)).toBe('MESSAGES_SNAPSHOT')
    for (const { agent, done, events } of [early, late]) {
      agent.abortRun()
      await done
      await verifyStream(events)
    }
  })

  test('a sync run closes what is open; a client keeps messages of its own', async () => {
    add({ id: 'a', role: 'assistant', content: 'half' }, 'streaming')
    const own: Message = { id: 'own', role: 'user', content: 'mine' }
    await until('the text', async () => (await readEvents()).includes('half'))
    const agent = openAgent(version, { url: server.address('talk', '/ag-ui') }) as Chat
    agent.messages = [own]
    const events: AgentEvent[] = []
    agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
    await agent.runAgent({ forwardedProps: { polyphony: { mode: 'sync' } } })
    expect(agent.messages).toEqual([own, { id: 'a', role: 'assistant', content: 'half' }])
    expect(typesOf(events).at(-1)).toBe('TEXT_MESSAGE_END')
    await verifyStream(events)
    expect(editor.doc.getArray(messagesRoot)).toHaveLength(1)
  })
})

async function readEvents(messages: unknown = true): Promise<string> {
  const { body } = await send('POST', server.address('talk', '/ag-ui'), {
    json: {
      threadId: 't',
      runId: 'r',
      messages: [],
      tools: [],
      context: [],
      forwardedProps: { polyphony: { mode: 'sync', messages } },
    },
  })
  return String(body)
}

test('documents without messages, and clients that want none, hear of none', async () => {
  expect(await readEvents()).not.toContain('MESSAGE')
  add({ id: 'a', role: 'user', content: 'hello' })
  await until('it to be stored', async () => (await readEvents()).includes('hello'))
  expect(await readEvents(false)).not.toContain('MESSAGE')
  const { body } = await send('GET', server.address('talk'))
  expect(body).toEqual({})
})

test('the history of a client becomes part of the document when it asks for that', async () => {
  const history: Message[] = [
    { id: 'one', role: 'user', content: 'first' },
    { id: 'two', role: 'user', content: 'second' },
  ]
  add({ id: 'two', role: 'user', content: 'second' })
  await until('it to be stored', async () => (await readEvents()).includes('second'))
  const { agent } = watch('1.0.0', { merge: true }, history)
  await until('the editor to have both', () => editor.doc.getArray(messagesRoot).length === 2)
  expect(editor.doc.getArray(messagesRoot).toJSON()).toMatchObject([
    { id: 'one', content: 'first', author: 'local' },
    { id: 'two', content: 'second' },
  ])
  expect(agent.messages).toEqual(history)
})

test('what is no message, or a malformed one, is not shown', async () => {
  const list = editor.doc.getArray<unknown>(messagesRoot)
  list.push([
    1,
    new Y.Map([['id', 'x']]),
    new Y.Map(Object.entries({ id: 'y', role: 'wizard', content: 'no' })),
  ])
  add({ id: 'a', role: 'user', content: 'hello' })
  await until('it to be stored', async () => (await readEvents()).includes('hello'))
  const text = await readEvents()
  expect(text).not.toContain('wizard')
  expect(text).not.toContain('"x"')
})

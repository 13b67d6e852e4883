import type { Message } from '@ag-ui/core'
import { resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { beforeAll, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import {
  AgentEventReader,
  coalesceEdits,
  MessageFold,
  readConversation,
  writeMessages,
  type MessageEdit,
} from '../src/index.ts'
import { history, officialMessages, stream } from './agent-streams.ts'

beforeAll(() => {
  vi.spyOn(console, 'warn').mockReturnValue()
})

/** One run that writes into a document, a few events per flush. */
class TestRun {
  readonly doc: Y.Doc
  readonly fold: MessageFold
  readonly #reader = new AgentEventReader(() => 'new')
  #edits: MessageEdit[] = []

  constructor(doc: Y.Doc, known: readonly Message[]) {
    this.doc = doc
    this.fold = new MessageFold(known, resolveLimits())
  }

  take(event: unknown): void {
    for (const next of this.#reader.read(event)) this.#edits.push(...this.fold.apply(next))
  }

  flush(): void {
    writeMessages(this.doc, coalesceEdits(this.#edits), { runId: 'r' })
    this.#edits = []
  }
}

function documentWith(messages: readonly Message[]): Y.Doc {
  const doc = new Y.Doc()
  const edits = messages.map((message): MessageEdit => ({
    type: 'add',
    message,
    status: 'complete',
    place: 'end',
  }))
  writeMessages(doc, edits, {})
  return doc
}

function messagesOf(doc: Y.Doc): Message[] {
  return readConversation(doc).map(({ message }) => message)
}

test('a document has the messages that the official client has, however the events are flushed', async () => {
  let messages = 0
  await fc.assert(
    fc.asyncProperty(history, stream, fc.integer({ min: 1, max: 9 }), async (known, events, perFlush) => {
      const run = new TestRun(documentWith(known), known)
      events.forEach((event, index) => {
        run.take(event)
        if (index % perFlush === 0) run.flush()
      })
      run.flush()
      const expected = await officialMessages(known, events)
      expect(run.fold.messages).toEqual(expected)
      expect(messagesOf(run.doc)).toEqual(expected)
      messages += expected.length
      // Another replica shows the same.
      const other = new Y.Doc()
      Y.applyUpdate(other, Y.encodeStateAsUpdate(run.doc))
      expect(messagesOf(other)).toEqual(expected)
    }),
    { seed: 20261125, numRuns: process.env.POLYPHONY_SOAK === '1' ? 20_000 : 800 },
  )
  expect(messages).toBeGreaterThan(1_500)
})

function renamed<T>(value: T, mark: string): T {
  return JSON.parse(JSON.stringify(value).replaceAll(/"([mc]\d|result\d+)"/g, `"$1${mark}"`)) as T
}

test('two runs at once each have their messages, and keep what is not theirs', async () => {
  await fc.assert(
    fc.asyncProperty(
      history,
      stream,
      stream,
      fc.array(fc.boolean(), { minLength: 100, maxLength: 100 }),
      async (known, eventsA, eventsB, turns) => {
        // Both know the same history, which neither takes away from the other here.
        const streams = [eventsA, eventsB].map((events, index) =>
          renamed(
            events.filter(({ type }) => type !== 'MESSAGES_SNAPSHOT'),
            index === 0 ? 'A' : 'B',
          ),
        )
        const doc = documentWith(known)
        const runs = [new TestRun(doc, known), new TestRun(doc, known)]
        const queues = streams.map((events) => [...events])
        for (const turn of turns) {
          const which = turn ? 1 : 0
          const event = queues[which]!.shift()
          if (event === undefined) continue
          runs[which]!.take(event)
          runs[which]!.flush()
        }
        const done = streams.map((events, index) => events.slice(0, events.length - queues[index]!.length))
        const all = messagesOf(doc)
        for (const [index, events] of done.entries()) {
          const expected = await officialMessages(known, events)
          const ids = new Set(expected.map((message) => message.id))
          expect(all.filter((message) => ids.has(message.id))).toEqual(expected)
          expect(runs[index]!.fold.messages).toEqual(expected)
        }
      },
    ),
    { seed: 20261126, numRuns: 500 },
  )
})

test('a character that the agent cuts in two is one on every replica', () => {
  const run = new TestRun(documentWith([]), [])
  const start = [
    { type: 'RUN_STARTED', threadId: 't', runId: 'r' },
    { type: 'TEXT_MESSAGE_START', messageId: 'm' },
    { type: 'TOOL_CALL_START', toolCallId: 'c', toolCallName: 'f', parentMessageId: 'm' },
  ]
  for (const event of start) run.take(event)
  const text = 'a🎻b\ud83c'
  for (let index = 0; index < text.length; index++) {
    run.take({ type: 'TEXT_MESSAGE_CONTENT', messageId: 'm', delta: text[index] })
    run.take({ type: 'TOOL_CALL_ARGS', toolCallId: 'c', delta: text[index] })
    run.flush()
  }
  run.take({ type: 'TEXT_MESSAGE_END', messageId: 'm' })
  run.flush()
  const other = new Y.Doc()
  Y.applyUpdate(other, Y.encodeStateAsUpdate(run.doc))
  for (const doc of [run.doc, other]) {
    const [message] = readConversation(doc).map(({ stored }) => stored)
    expect(message).toMatchObject({ content: 'a🎻b', toolCalls: [{ arguments: 'a🎻b' }] })
  }
})

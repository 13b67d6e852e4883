import type { Message } from '@ag-ui/core'
import { resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { beforeAll, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import {
  AgentEventReader,
  closingEvents,
  coalesceEdits,
  ConversationMirror,
  MessageFold,
  messageEvents,
  messagesRoot,
  readConversation,
  writeMessages,
  type ConversationEntry,
  type HeldMessages,
  type MessageEdit,
} from '../src/index.ts'
import {
  clientVersions,
  history,
  message,
  officialMessages,
  stream,
  type ClientVersion,
} from './agent-streams.ts'

beforeAll(() => {
  vi.spyOn(console, 'warn').mockReturnValue()
})

const started = { type: 'RUN_STARTED', threadId: 't', runId: 'w' }
const finished = { type: 'RUN_FINISHED', threadId: 't', runId: 'w' }

/** A watch run that one official client reads. */
class TestReader {
  readonly start: readonly Message[]
  readonly events: unknown[] = [started]
  held: HeldMessages
  snapshots = 0

  constructor(start: readonly Message[]) {
    this.start = start
    this.held = { messages: start, open: new Set(), isNew: true }
  }

  flush(entries: readonly ConversationEntry[], bytesMax = 1 << 20): void {
    const told = messageEvents(this.held, entries, bytesMax)
    if (told === undefined) return
    this.held = told.held
    if (told.isSnapshot) this.snapshots += 1
    this.events.push(...told.events.map((text) => JSON.parse(text) as unknown))
  }

  finish(): void {
    this.events.push(...closingEvents(this.held).map((text) => JSON.parse(text) as unknown), finished)
  }
}

type Action =
  | { readonly type: 'flush' }
  | { readonly type: 'join'; readonly knows: boolean }
  | { readonly type: 'agent'; readonly events: number }
  | { readonly type: 'type' | 'remove' | 'insert'; readonly at: number; readonly what: Message }

const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant('agent' as const), events: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 3, arbitrary: fc.constant({ type: 'flush' as const }) },
    fc.record({ type: fc.constant('join' as const), knows: fc.boolean() }),
    fc.record({
      type: fc.constantFrom('type' as const, 'remove' as const, 'insert' as const),
      at: fc.nat(20),
      what: message,
    }),
  ),
  { maxLength: 30 },
)

/** What people do to the shared types themselves. */
function edit(
  doc: Y.Doc,
  { type, at, what }: Action & { readonly type: 'type' | 'remove' | 'insert' },
  serial: number,
): void {
  const list = doc.getArray<unknown>(messagesRoot)
  if (type === 'insert') {
    const before = readConversation(doc).map(({ message: { id } }) => id)
    const after = before[at % (before.length + 1)]
    const fresh = { ...what, id: `person${serial}` }
    if ('toolCalls' in fresh) delete fresh.toolCalls
    if (fresh.role === 'assistant') fresh.content = 'person'
    writeMessages(doc, [{ type: 'add', message: fresh, status: 'complete', place: { after } }], {})
    return
  }
  if (list.length === 0) return
  const index = at % list.length
  const item = list.get(index)
  if (!(item instanceof Y.Map)) return
  const content: unknown = item.get('content')
  if (type === 'remove') list.delete(index)
  else if (content instanceof Y.Text) content.insert(at % (content.length + 1), 'P')
}

/** Equal but for what the versions of the client cannot do. */
function comparable(
  messages: readonly Message[],
  version: ClientVersion,
  kept: ReadonlySet<string>,
): unknown[] {
  return messages
    .filter(({ id, role }) => role !== 'reasoning' && (version === '1.0.0' || !kept.has(id)))
    .map((one) => {
      const { metadata, encryptedValue, ...rest } = { encryptedValue: undefined, ...one } as Record<
        string,
        unknown
      >
      if (rest.content === '' || rest.content === undefined) delete rest.content
      // The oldest knows no metadata.
      return version === '0.0.57' ? withoutMetadata(rest) : { ...rest, metadata, encryptedValue }
    })
}

test('whatever agents and people do, every client that watches ends with the messages of the document', async () => {
  let grown = 0
  let snapshots = 0
  await fc.assert(
    fc.asyncProperty(history, stream, actions, async (known, events, steps) => {
      const doc = new Y.Doc()
      const adds = known.map((one): MessageEdit => ({
        type: 'add',
        message: one,
        status: 'complete',
        place: 'end',
      }))
      writeMessages(doc, adds, {})
      const fold = new MessageFold(known, resolveLimits())
      const agent = new AgentEventReader(() => 'new')
      const mirror = new ConversationMirror()
      const readers = [new TestReader([])]
      const queue = [...events]
      const say = (count: number): void => {
        const edits = queue
          .splice(0, count)
          .flatMap((event) => agent.read(event).flatMap((next) => fold.apply(next)))
        writeMessages(doc, coalesceEdits(edits), {})
      }
      const flush = (): void => {
        for (const reader of readers) reader.flush(mirror.read(doc))
      }
      steps.forEach((step, serial) => {
        if (step.type === 'agent') say(step.events)
        else if (step.type === 'flush') flush()
        else if (step.type === 'join') readers.push(new TestReader(step.knows ? messagesOf(doc) : []))
        else edit(doc, step, serial)
        expect(mirror.read(doc)).toEqual(readConversation(doc))
      })
      say(queue.length)
      flush()
      for (const reader of readers) {
        reader.finish()
        snapshots += reader.snapshots
        grown += reader.events.length - reader.snapshots
        // The older ones keep what once was an activity or reasoning.
        const kept = idsOf([reader.start, reader.events])
        for (const version of clientVersions) {
          const has = await officialMessages(reader.start, reader.events, version)
          const now = comparable(messagesOf(doc), version, kept)
          expect(comparable(has, version, kept)).toEqual(now)
          // Reasoning that was removed stays at clients, which have no way to be told; what is there is right.
          for (const one of messagesOf(doc))
            if (one.role === 'reasoning' && !kept.has(one.id))
              expect(has.find(({ id }) => id === one.id)?.content ?? '').toBe(one.content)
        }
      }
    }),
    { seed: 20261127, numRuns: process.env.POLYPHONY_SOAK === '1' ? 20_000 : 500 },
  )
  expect(grown).toBeGreaterThan(2_000)
  expect(snapshots).toBeGreaterThan(300)
})

function messagesOf(doc: Y.Doc): Message[] {
  return readConversation(doc).map((entry) => entry.message)
}

function withoutMetadata(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, inner: unknown) => (key === 'metadata' ? undefined : inner)))
}

/** Ids under which there ever was an activity or reasoning. */
function idsOf(value: unknown, found = new Set<string>()): Set<string> {
  if (typeof value !== 'object' || value === null) return found
  const { id, messageId, role: of, type } = value as Record<string, unknown>
  if ((of === 'activity' || of === 'reasoning') && typeof id === 'string') found.add(id)
  if (/^(ACTIVITY|REASONING)/.test(String(type)) && typeof messageId === 'string') found.add(messageId)
  for (const inner of Object.values(value)) idsOf(inner, found)
  return found
}

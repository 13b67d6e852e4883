import type { Event, Message, RunAgentInput } from '@ag-ui/core'
import { defaultApplyEvents, HttpAgent, transformChunks, verifyEvents, type BaseEvent } from '@ag-ui/client'
import * as client57 from 'ag-ui-client-0-0-57'
import * as client59 from 'ag-ui-client-0-0-59'
import fc from 'fast-check'
import { from, lastValueFrom, toArray } from 'rxjs'
import { AgentEventReader } from '../src/index.ts'

// The official client warns of everything that it skips, which random streams give it many occasions for.
process.env.SUPPRESS_TRANSFORMATION_WARNINGS = 'true'

const id = fc.constantFrom('m1', 'm2', 'm3', 'm4')
const callId = fc.constantFrom('c1', 'c2', 'c3')
const delta = fc.constantFrom('', 'a', 'be', '🎻', ' then ')
const metadata = fc.constantFrom({ usage: 1 }, { usage: 2, model: 'x' }, { note: [1] })
const name = fc.constantFrom('anna', 'ben')
const role = fc.constantFrom('assistant', 'user', 'system', 'developer')
const content = fc.constantFrom<Record<string, unknown>>({ done: 0 }, { done: 1, list: ['x'] }, { list: [] })
const maybe = { requiredKeys: ['type'] as never[] }

function optional(
  type: string,
  required: Record<string, fc.Arbitrary<unknown>>,
  more: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(
    { type: fc.constant(type), ...required, ...more },
    {
      ...maybe,
      requiredKeys: ['type', ...Object.keys(required)] as never[],
    },
  ) as fc.Arbitrary<Record<string, unknown>>
}

export const message: fc.Arbitrary<Message> = fc
  .oneof(
    fc.record({ id, role, content: delta }),
    fc.record({ id, role: fc.constant('reasoning'), content: delta }),
    fc.record({ id, role: fc.constant('user'), content: fc.constant([{ type: 'text', text: 'hi' }]) }),
    fc.record({ id, role: fc.constant('activity'), activityType: fc.constant('plan'), content }),
    fc.record({ id, role: fc.constant('tool'), toolCallId: callId, content: delta }),
    fc.record({
      id,
      role: fc.constant('assistant'),
      toolCalls: fc
        .uniqueArray(callId, { maxLength: 2 })
        .map((ids) =>
          ids.map((one) => ({ id: one, type: 'function', function: { name: 'find', arguments: '{}' } })),
        ),
    }),
  )
  .map((made) => made as unknown as Message)

/** Messages with ids, and calls with ids, that are different. */
export const history: fc.Arbitrary<Message[]> = fc
  .uniqueArray(message, { maxLength: 4, selector: (made) => made.id })
  .map(withDistinctCalls)

export const anyEvent: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  optional('TEXT_MESSAGE_START', { messageId: id }, { role, name, metadata }),
  optional('TEXT_MESSAGE_CONTENT', { messageId: id, delta }, { metadata }),
  optional('TEXT_MESSAGE_CONTENT', { messageId: id, delta }, {}),
  optional('TEXT_MESSAGE_END', { messageId: id }, { metadata }),
  optional('TEXT_MESSAGE_CHUNK', {}, { messageId: id, delta, metadata }),
  optional(
    'TOOL_CALL_START',
    { toolCallId: callId, toolCallName: name },
    {
      parentMessageId: id,
      metadata,
    },
  ),
  optional('TOOL_CALL_ARGS', { toolCallId: callId, delta }, { metadata }),
  optional('TOOL_CALL_END', { toolCallId: callId }, { metadata }),
  optional('TOOL_CALL_CHUNK', {}, { toolCallId: callId, toolCallName: name, delta }),
  optional('TOOL_CALL_RESULT', { toolCallId: callId, content: delta }, { metadata }),
  optional('REASONING_MESSAGE_START', { messageId: id, role: fc.constant('reasoning') }, { metadata }),
  optional('REASONING_MESSAGE_CONTENT', { messageId: id, delta }, {}),
  optional('REASONING_MESSAGE_END', { messageId: id }, {}),
  optional('REASONING_MESSAGE_CHUNK', {}, { messageId: id, delta }),
  optional(
    'REASONING_ENCRYPTED_VALUE',
    {
      subtype: fc.constantFrom('message', 'tool-call'),
      entityId: fc.oneof(id, callId),
      encryptedValue: fc.constant('secret'),
    },
    {},
  ),
  optional(
    'ACTIVITY_SNAPSHOT',
    { messageId: id, activityType: fc.constant('plan'), content },
    {
      replace: fc.boolean(),
      metadata,
    },
  ),
  optional(
    'ACTIVITY_DELTA',
    {
      messageId: id,
      activityType: fc.constant('plan'),
      patch: fc.constantFrom(
        [{ op: 'add', path: '/done', value: 7 }],
        [{ op: 'add', path: '/list/-', value: 'y' }],
        [{ op: 'replace', path: '/nowhere', value: 1 }],
        [
          { op: 'remove', path: '/list' },
          { op: 'add', path: '/more', value: { deep: null } },
        ],
      ),
    },
    { metadata },
  ),
  optional('MESSAGES_SNAPSHOT', { messages: history }, {}),
  optional('STATE_DELTA', { delta: fc.constant([]) }, {}),
  optional('STEP_STARTED', { stepName: name }, {}),
  optional('STEP_FINISHED', { stepName: name }, {}),
)

/** A stream that the official client accepts: what would break it is left out. */
export const stream: fc.Arbitrary<Record<string, unknown>[]> = fc
  .array(anyEvent, { maxLength: 40 })
  .map((events) => {
    let accepted: Record<string, unknown>[] = [{ type: 'RUN_STARTED', threadId: 't', runId: 'r' }]
    events.forEach((event, index) => {
      const next = event.type === 'TOOL_CALL_RESULT' ? { ...event, messageId: `result${index}` } : event
      if (isAccepted([...accepted, next])) accepted = [...accepted, next]
    })
    return accepted
  })

function isAccepted(events: readonly unknown[]): boolean {
  const reader = new AgentEventReader(() => 'new')
  try {
    for (const event of events) reader.read(event)
    return true
  } catch {
    return false
  }
}

function withDistinctCalls(messages: Message[]): Message[] {
  const seen = new Set<string>()
  return messages.map((made) => {
    if (!('toolCalls' in made) || made.toolCalls === undefined) return made
    const toolCalls = made.toolCalls.filter((call) => !seen.has(call.id))
    for (const call of toolCalls) seen.add(call.id)
    return { ...made, toolCalls }
  })
}

/** The clients that must all come to the same. */
const clients = {
  '1.0.0': { defaultApplyEvents, HttpAgent, transformChunks, verifyEvents },
  '0.0.59': client59,
  '0.0.57': client57,
} as const
export type ClientVersion = keyof typeof clients
export const clientVersions = Object.keys(clients) as ClientVersion[]

/** What the official client makes of a stream. Throws what its verifier throws. */
export async function officialMessages(
  start: readonly Message[],
  events: readonly unknown[],
  version: ClientVersion = '1.0.0',
): Promise<readonly Message[]> {
  // The older ones differ in types that do not matter here.
  const { defaultApplyEvents, HttpAgent, transformChunks, verifyEvents } = clients[
    version
  ] as (typeof clients)['1.0.0']
  const agent = new HttpAgent({ url: 'http://localhost/', initialMessages: structuredClone([...start]) })
  const input = {
    threadId: 't',
    runId: 'r',
    messages: [],
    tools: [],
    context: [],
  } as unknown as RunAgentInput
  const verified = verifyEvents(false)(transformChunks(false)(from(structuredClone(events) as BaseEvent[])))
  const mutations = await lastValueFrom(defaultApplyEvents(input, verified, agent, []).pipe(toArray()))
  return mutations.findLast((mutation) => mutation.messages !== undefined)?.messages ?? start
}

export type { Event }

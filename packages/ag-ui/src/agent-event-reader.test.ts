import { resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AgentEventReader } from './agent-event-reader.ts'
import { MessageFold } from './message-fold.ts'

const failed = expect.objectContaining({ code: 'agent-failed' }) as unknown

function read(...events: unknown[]) {
  const reader = new AgentEventReader(() => 'new')
  return events.flatMap((event) => reader.read(event))
}

const started = { type: 'RUN_STARTED', threadId: 't', runId: 'r' }

test('what nobody knows is dropped, what is malformed or out of order is an error', () => {
  expect(read(started, { type: 'FROM_THE_FUTURE' })).toHaveLength(1)
  expect(() => read(started, { type: 'TEXT_MESSAGE_START' })).toThrow(failed)
  expect(() => read({ type: 'STATE_SNAPSHOT', snapshot: {} })).toThrow(failed)
  expect(() => read(started, { type: 'TEXT_MESSAGE_CHUNK', delta: 'x' })).toThrow(failed)
  for (const nothing of [null, 1, 'x', [], {}, { type: 1 }]) expect(() => read(nothing)).toThrow(failed)
})

test('old shapes become their successors', () => {
  const thoughts = ['START', 'TEXT_MESSAGE_START', 'TEXT_MESSAGE_CONTENT', 'TEXT_MESSAGE_END', 'END']
  const events = read(started, ...thoughts.map((name) => ({ type: `THINKING_${name}`, delta: 'hm' })))
  expect(events.map(({ type }) => type).slice(1)).toEqual([
    'REASONING_START',
    'REASONING_MESSAGE_START',
    'REASONING_MESSAGE_CONTENT',
    'REASONING_MESSAGE_END',
    'REASONING_END',
  ])
  const call = {
    type: 'TOOL_CALL_START',
    toolCallId: 'c',
    toolCallName: 'f',
    parentMessageId: null,
    rawEvent: null,
  }
  expect(read(started, call)[1]).not.toHaveProperty('parentMessageId')
  expect(read(started, { type: 'STATE_SNAPSHOT', snapshot: null })[1]).toMatchObject({ snapshot: null })
})

test('whatever an agent sends, it is read, dropped, or refused with a code', () => {
  const types = [
    'TEXT_MESSAGE_START',
    'TEXT_MESSAGE_CONTENT',
    'TEXT_MESSAGE_CHUNK',
    'TOOL_CALL_START',
    'TOOL_CALL_RESULT',
  ]
  const more = [
    'MESSAGES_SNAPSHOT',
    'ACTIVITY_SNAPSHOT',
    'ACTIVITY_DELTA',
    'STATE_DELTA',
    'RUN_FINISHED',
    'THINKING_END',
  ]
  const member = fc.oneof(fc.jsonValue(), fc.constantFrom('a', 'b', '__proto__'))
  const event = fc.dictionary(
    fc.constantFrom(
      'messageId',
      'delta',
      'toolCallId',
      'toolCallName',
      'content',
      'messages',
      'patch',
      'activityType',
      'role',
    ),
    member,
  )
  let accepted = 0
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...types, ...more), event), { maxLength: 8 }), (events) => {
      const reader = new AgentEventReader(() => 'new')
      const fold = new MessageFold([], resolveLimits())
      for (const next of reader.read(started)) fold.apply(next)
      for (const [type, members] of events) {
        try {
          for (const next of reader.read({ ...members, type })) {
            accepted += 1
            fold.apply(next)
          }
        } catch (error) {
          expect(error).toEqual(failed)
          return
        }
      }
    }),
    { seed: 20261129, numRuns: 5_000 },
  )
  expect(accepted).toBeGreaterThan(50)
})

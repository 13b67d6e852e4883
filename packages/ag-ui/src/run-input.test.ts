import { expect, test } from 'vitest'
import { parseRunInput } from './run-input.ts'

const minimal = { threadId: 't', runId: 'r', messages: [] }

test('what the official client sends', () => {
  const input = parseRunInput({
    ...minimal,
    protocolVersion: '1.0',
    state: { a: 1 },
    tools: [],
    context: [],
    forwardedProps: { polyphony: { mode: 'sync', version: 'i.4', pointer: '/a~1b' }, other: 1 },
    surprising: true,
  })
  expect(input).toEqual({
    threadId: 't',
    runId: 'r',
    mode: 'sync',
    version: 'i.4',
    pointer: '/a~1b',
    splices: false,
    messages: [],
    withMessages: 'show',
    state: { a: 1 },
  })
})

test('without anything of ours it is a watch run of the whole document', () => {
  const nothing = {
    threadId: 't',
    runId: 'r',
    mode: 'watch',
    version: undefined,
    pointer: '',
    splices: false,
    messages: [],
    withMessages: 'show',
    state: undefined,
  }
  expect(parseRunInput(minimal)).toEqual(nothing)
  expect(parseRunInput({ ...minimal, state: null, forwardedProps: 'text' })).toEqual(nothing)
  expect(parseRunInput({ ...minimal, state: {} }).state).toEqual({})
})

test.each([
  ['not an object', 'text'],
  ['nothing', undefined],
  ['no ids', { messages: [] }],
  ['a run id of the wrong type', { ...minimal, runId: 7 }],
  ['messages of the wrong type', { ...minimal, messages: [{ id: 'm', role: 'nobody', content: '' }] }],
  ['a foreign major version', { ...minimal, protocolVersion: '2.0' }],
  ['an unknown mode', { ...minimal, forwardedProps: { polyphony: { mode: 'poll' } } }],
  ['a version that is no text', { ...minimal, forwardedProps: { polyphony: { version: 4 } } }],
  ['a pointer that is none', { ...minimal, forwardedProps: { polyphony: { pointer: 'a' } } }],
  ['options that are no object', { ...minimal, forwardedProps: { polyphony: true } }],
])('%s is refused', (_, body) => {
  expect(() => parseRunInput(body)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
})

test('messages are shown unless nobody wants them, and merged when asked for', () => {
  const ask = (messages: unknown): string =>
    parseRunInput({ ...minimal, forwardedProps: { polyphony: { messages } } }).withMessages
  expect(ask(true)).toBe('show')
  expect(ask(false)).toBe('none')
  expect(ask({})).toBe('show')
  expect(ask({ merge: true })).toBe('merge')
  expect(() => ask('yes')).toThrow(expect.objectContaining({ code: 'invalid-request' }))
})

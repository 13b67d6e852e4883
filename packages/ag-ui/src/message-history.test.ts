import type { Message } from '@ag-ui/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { readConversation } from './conversation.ts'
import { writeMessages } from './conversation-writer.ts'
import { mergeHistory } from './message-history.ts'

const say = (id: string, content = id): Message => ({ id, role: 'user', content })

function merged(...histories: (readonly Message[])[]) {
  const doc = new Y.Doc()
  for (const history of histories) {
    const known = readConversation(doc).map(({ message }) => message)
    writeMessages(doc, mergeHistory(known, history), {})
  }
  return readConversation(doc)
}

function ids(...histories: string[]): string {
  return merged(...histories.map((history) => history.split('').map((id) => say(id))))
    .map(({ message }) => message.id)
    .join('')
}

test('what a client knows and the document does not is added where the client has it', () => {
  expect(ids('abc', 'abc')).toBe('abc')
  expect(ids('ac', 'abc')).toBe('abc')
  expect(ids('bc', 'abc')).toBe('abc')
  expect(ids('', 'abc')).toBe('abc')
  expect(ids('abc', 'ab')).toBe('abc')
  // What the client says now comes behind what others have said meanwhile.
  expect(ids('ab', 'abx', 'aby')).toBe('abxy')
  expect(ids('abc', 'xyz')).toBe('abcxyz')
})

test('what is known stays as it is, and an answer goes to its call', () => {
  const call: Message = {
    id: 'call',
    role: 'assistant',
    toolCalls: [{ id: 'c1', type: 'function', function: { name: 'ask', arguments: '{}' } }],
  }
  const answer: Message = { id: 'answer', role: 'tool', toolCallId: 'c1', content: 'no', error: 'refused' }
  const entries = merged([call, say('later')], [{ ...call, content: 'changed' }, answer])
  expect(entries.map(({ message }) => message.id)).toEqual(['call', 'answer', 'later'])
  expect(entries[0]?.stored.toolCalls).toMatchObject([{ id: 'c1', status: 'error', resultId: 'answer' }])
  expect(entries[0]?.message).toEqual(call)
})

test('whatever clients send, nothing is lost, doubled or moved, and each finds its own order', () => {
  const history = fc.shuffledSubarray('abcdefgh'.split(''))
  fc.assert(
    fc.property(fc.array(history, { maxLength: 5 }), history, (before, last) => {
      const had = ids(...before.map((one) => one.join('')))
      const has = ids(...before.map((one) => one.join('')), last.join(''))
      expect(new Set(has).size).toBe(has.length)
      expect(
        has
          .split('')
          .filter((id) => had.includes(id))
          .join(''),
      ).toBe(had)
      expect(has.split('').toSorted()).toEqual([...new Set([...had.split(''), ...last])].toSorted())
      const isConsistent =
        had
          .split('')
          .filter((id) => last.includes(id))
          .join('') === last.filter((id) => had.includes(id)).join('')
      if (isConsistent)
        expect(
          has
            .split('')
            .filter((id) => last.includes(id))
            .join(''),
        ).toBe(last.join(''))
    }),
    { seed: 20261128, numRuns: 3_000 },
  )
})

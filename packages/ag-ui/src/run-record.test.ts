import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { readConversation, runsRoot } from './conversation.ts'
import { writeMessages } from './conversation-writer.ts'
import {
  endRun,
  endSilentRuns,
  markStep,
  readRun,
  readRuns,
  requestCancel,
  startRun,
  touchRun,
} from './run-record.ts'

function begin(doc: Y.Doc, runId: string, startedAtMs = 1, keep = 10): void {
  startRun(doc, { runId, threadId: 't', agent: 'helper', author: 'anna', startedAtMs }, keep)
}

test('a run is noted from its beginning to its end, with its steps', () => {
  const doc = new Y.Doc()
  begin(doc, 'r')
  markStep(doc, 'r', { name: 'look', status: 'running' }, 2)
  markStep(doc, 'r', { name: 'look', status: 'finished' }, 2)
  markStep(doc, 'r', { name: 'write', status: 'running' }, 2)
  markStep(doc, 'r', { name: 'one too many', status: 'running' }, 2)
  expect(requestCancel(doc, 'r')).toBe(true)
  endRun(doc, 'r', { status: 'finished', endedAtMs: 9, result: { n: 1 } })
  expect(readRun(doc, 'r')).toEqual({
    runId: 'r',
    threadId: 't',
    agent: 'helper',
    author: 'anna',
    status: 'finished',
    startedAtMs: 1,
    aliveAtMs: 1,
    endedAtMs: 9,
    cancelRequested: true,
    result: { n: 1 },
    steps: [
      { name: 'look', status: 'finished' },
      { name: 'write', status: 'running' },
    ],
  })
  expect(requestCancel(doc, 'r')).toBe(false)
  expect(readRun(doc, 'nobody')).toBeUndefined()
})

test('a run id is used once, and only ended runs are forgotten', () => {
  const doc = new Y.Doc()
  begin(doc, 'r0')
  for (let n = 1; n <= 4; n++) {
    begin(doc, `r${n}`, n, 3)
    if (n !== 2) endRun(doc, `r${n}`, { status: 'finished', endedAtMs: n })
  }
  expect(readRuns(doc).map(({ runId }) => runId)).toEqual(['r0', 'r2', 'r4'])
  const before = Y.encodeStateVector(doc)
  expect(() => begin(doc, 'r2')).toThrow(expect.objectContaining({ code: 'run-exists' }))
  expect(Y.encodeStateVector(doc)).toEqual(before)
})

test('what a run that fell silent left unfinished says so', () => {
  const doc = new Y.Doc()
  begin(doc, 'gone', 0)
  begin(doc, 'alive', 0)
  touchRun(doc, 'alive', 900)
  const toolCalls = [{ id: 'c', type: 'function' as const, function: { name: 'find', arguments: '{' } }]
  const streaming = { status: 'streaming', place: 'end' } as const
  writeMessages(
    doc,
    [{ type: 'add', message: { id: 'a', role: 'assistant', content: 'half', toolCalls }, ...streaming }],
    { runId: 'gone' },
  )
  writeMessages(doc, [{ type: 'add', message: { id: 'b', role: 'assistant', content: '' }, ...streaming }], {
    runId: 'alive',
  })
  const isSilent = ({ aliveAtMs }: { readonly aliveAtMs: number }): boolean => aliveAtMs < 500
  expect(endSilentRuns(doc, 1_000, isSilent)).toBe(1)
  expect(endSilentRuns(doc, 1_000, isSilent)).toBe(0)
  expect(readRun(doc, 'gone')).toMatchObject({ status: 'failed', error: { code: 'agent-failed' } })
  const [a, b] = readConversation(doc).map(({ stored }) => stored)
  expect(a).toMatchObject({ content: 'half', status: 'interrupted', toolCalls: [{ status: 'interrupted' }] })
  expect(b).toMatchObject({ status: 'streaming' })
})

test('what others write into the root is no run', () => {
  const doc = new Y.Doc()
  doc.getMap(runsRoot).set('x', 1)
  doc.getMap(runsRoot).set('y', new Y.Map([['runId', 1]]))
  expect(readRuns(doc)).toEqual([])
  expect(readRun(doc, 'x')).toBeUndefined()
})

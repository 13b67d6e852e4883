import { verifyEvents, type BaseEvent } from '@ag-ui/client'
import fc from 'fast-check'
import { concatMap, from, lastValueFrom, toArray } from 'rxjs'
import { expect, test } from 'vitest'
import { RunChecker, type CheckedEvent } from './run-checker.ts'

const id = fc.constantFrom('a', 'b')
const event = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('RUN_STARTED', 'RUN_FINISHED', 'RUN_ERROR').map((type) => ({ type })),
  },
  fc.constantFrom('STATE_SNAPSHOT', 'STATE_DELTA', 'CUSTOM', 'MESSAGES_SNAPSHOT').map((type) => ({ type })),
  fc.record({
    type: fc.constantFrom(
      'TEXT_MESSAGE_START',
      'TEXT_MESSAGE_CONTENT',
      'TEXT_MESSAGE_END',
      'REASONING_START',
      'REASONING_END',
      'REASONING_MESSAGE_START',
      'REASONING_MESSAGE_CONTENT',
      'REASONING_MESSAGE_END',
    ),
    messageId: id,
  }),
  fc.record({ type: fc.constantFrom('TOOL_CALL_START', 'TOOL_CALL_ARGS', 'TOOL_CALL_END'), toolCallId: id }),
  fc.record({ type: fc.constantFrom('STEP_STARTED', 'STEP_FINISHED'), stepName: id }),
  fc.record({
    type: fc.constantFrom('SUBAGENT_STARTED', 'SUBAGENT_FINISHED', 'SUBAGENT_ERROR'),
    subagentRunId: id,
    name: fc.constant('helper'),
    message: fc.constant('gone'),
  }),
)

/** How many events of a stream the official verifier lets through. */
async function accepted(events: readonly CheckedEvent[]): Promise<number> {
  let count = 0
  const verified = verifyEvents()(from(events as unknown as BaseEvent[])).pipe(
    concatMap((next) => {
      count += 1
      return [next]
    }),
    toArray(),
  )
  return lastValueFrom(verified).then(
    () => count,
    () => count,
  )
}

test('a stream is refused at exactly the event at which the official verifier refuses it', async () => {
  let refused = 0
  let passed = 0
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 12 }), fc.boolean(), async (events, isFramed) => {
      const stream: CheckedEvent[] = isFramed
        ? [{ type: 'RUN_STARTED' }, ...events, { type: 'RUN_FINISHED' }]
        : events
      const checker = new RunChecker()
      const at = stream.findIndex((next) => checker.next(next) !== undefined)
      if (at < 0) passed += 1
      else refused += 1
      expect(at < 0 ? stream.length : at).toBe(await accepted(stream))
    }),
    { seed: 20261124, numRuns: 3_000 },
  )
  expect(passed).toBeGreaterThan(100)
  expect(refused).toBeGreaterThan(1_000)
})

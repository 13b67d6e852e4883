import { resolveLimits } from '@polyphony/core'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { Frontier } from './frontier.ts'
import { HeldUpdates, type HeldUpdate } from './held-updates.ts'
import { readUpdate } from './update-reader.ts'

const limits = resolveLimits({ heldBytesMax: 1_000 })

function held(client: number, options: Partial<HeldUpdate> = {}): HeldUpdate {
  return {
    update: new Uint8Array([client]),
    authorship: { author: `author ${client}` },
    missing: { client, clock: 0 },
    committed: () => undefined,
    refused: () => undefined,
    bytes: 100,
    tries: 1,
    ...options,
  }
}

/** A frontier that has the first clock of each of these clients. */
function frontierWith(...clients: readonly number[]): Frontier {
  const frontier = new Frontier(limits)
  for (const client of clients) {
    const doc = new Y.Doc()
    doc.clientID = client
    doc.getText('text').insert(0, 'x')
    frontier.admit(readUpdate(Y.encodeStateAsUpdate(doc), limits, false))
  }
  return frontier
}

test('gives back what no longer misses anything, oldest first, and nothing else', () => {
  const updates = new HeldUpdates(limits)
  const [one, two, three] = [held(1), held(2), held(1)]
  for (const update of [one, two, three]) updates.hold(update)
  const frontier = frontierWith(1)
  expect(updates.take(frontier)).toBe(one)
  expect(updates.take(frontier)).toBe(three)
  expect(updates.take(frontier)).toBeUndefined()
  expect(updates.bytes).toBe(two.bytes)
})

test('forgets the oldest when there is no room for more', () => {
  const updates = new HeldUpdates(limits)
  for (let client = 1; client <= 12; client++) updates.hold(held(client))
  expect(updates.bytes).toBe(1_000)
  const all = frontierWith(...Array.from({ length: 12 }, (_, index) => index + 1))
  expect(updates.take(all)?.missing.client).toBe(3)
})

test('never keeps what is larger than everything that may be held', () => {
  const updates = new HeldUpdates(limits)
  updates.hold(held(1, { bytes: 1_001 }))
  expect(updates.bytes).toBe(0)
})

test('does not keep what was tried again and again', () => {
  const updates = new HeldUpdates(limits)
  updates.hold(held(1, { tries: 16 }))
  expect(updates.bytes).toBe(100)
  updates.hold(held(1, { tries: 17 }))
  expect(updates.bytes).toBe(100)
})

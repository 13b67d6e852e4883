import { resolveLimits } from '@polyphony/core'
import { expect, test } from 'vitest'
import { AwarenessTable, decodeAwareness, encodeAwareness } from './awareness.ts'

const limits = resolveLimits({ awarenessClientsMax: 2 })
const say = (client: number, clock: number, state = '{"name":"ann"}'): Uint8Array =>
  encodeAwareness([{ client, clock, state }])
const heard = (message: Uint8Array | undefined) =>
  message === undefined ? [] : decodeAwareness(message, limits)

test('what changed is gathered into one message, and what is not newer is an echo', () => {
  const table = new AwarenessTable(limits)
  const ann = {}
  const ben = {}
  expect(table.receive(say(1, 1, '{"x":1}'), ann)).toBe(true)
  expect(table.receive(say(1, 2, '{"x":2}'), ann)).toBe(true)
  expect(table.receive(say(2, 1), ben)).toBe(true)
  expect(heard(table.take())).toEqual([
    { client: 1, clock: 2, state: '{"x":2}' },
    { client: 2, clock: 1, state: '{"name":"ann"}' },
  ])
  expect(table.take()).toBeUndefined()
  expect(table.receive(say(1, 2, '{"x":2}'), ben)).toBe(false)
  expect(table.leave(ben)).toBe(true)
  expect(heard(table.take())).toEqual([{ client: 2, clock: 1, state: 'null' }])
  expect(heard(table.all()).map(({ client }) => client)).toEqual([1])
})

test('a late echo does not bring back who has left, a newer state does', () => {
  const table = new AwarenessTable(limits)
  const ann = {}
  table.receive(say(1, 5), ann)
  table.take()
  table.leave(ann)
  expect(heard(table.take())).toEqual([{ client: 1, clock: 5, state: 'null' }])
  expect(table.size).toBe(0)
  expect(table.receive(say(1, 5), {})).toBe(false)
  expect(table.all()).toBeUndefined()
  expect(table.receive(say(1, 6), {})).toBe(true)
  expect(heard(table.all())).toHaveLength(1)
})

test('a session announces no more clients than the limit says', () => {
  const table = new AwarenessTable(limits)
  const ann = {}
  table.receive(say(1, 1), ann)
  table.receive(say(2, 1), ann)
  expect(() => table.receive(say(3, 1), ann)).toThrowError(expect.objectContaining({ code: 'invalid-frame' }))
  expect(table.receive(say(2, 2), ann)).toBe(true)
})

test('a node that names everybody it has ends the presence of those it does not name', () => {
  const table = new AwarenessTable(limits)
  const node = {}
  table.receiveFrom(
    node,
    encodeAwareness([
      { client: 1, clock: 1, state: '{}' },
      { client: 2, clock: 1, state: '{}' },
    ]),
    true,
  )
  table.take()
  expect(table.receiveFrom(node, say(1, 1, '{}'), true)).toBe(true)
  expect(heard(table.take())).toEqual([{ client: 2, clock: 1, state: 'null' }])
  expect(table.takeOwn()).toBeUndefined()
})

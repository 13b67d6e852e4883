import { IdSet } from '@polyphony/core'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { CommitQueue, type QueuedUpdate } from './commit-queue.ts'

const queueOf = (): CommitQueue => new CommitQueue(({ author }) => ({ author, committedAtMs: 0 }))

/** Updates of one client that follow each other. */
function typing(count: number): Uint8Array[] {
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  for (let i = 0; i < count; i++) doc.getText('text').insert(i, String(i % 10))
  return updates
}

function queued(update: Uint8Array, source: object | undefined, heard: string[], name = 'x'): QueuedUpdate {
  return {
    authorship: { author: name },
    source,
    update,
    increment: { clocks: new Map(), deletes: new IdSet() },
    committed: (revision) => heard.push(`${name} ${revision}`),
    failed: (error) => heard.push(`${name} ${error.message}`),
  }
}

function textOf(update: Uint8Array): string {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, update)
  return doc.getText('text').toJSON()
}

describe('CommitQueue', () => {
  test('neighbours of one source become one entry; nothing is merged across authors or without a source', () => {
    const queue = queueOf()
    const [one, two] = [{}, {}]
    const updates = typing(7)
    const sources = [one, one, two, undefined, undefined, one, one]
    updates.forEach((update, index) => queue.push(queued(update, sources[index], [])))
    const entries = queue.take(Infinity)
    expect(entries.length).toBe(5)
    expect(textOf(entries[0]!.update)).toBe('01')
    expect(entries[1]!.update).toBe(updates[2])
    const doc = new Y.Doc()
    for (const { update } of entries) Y.applyUpdate(doc, update)
    expect(doc.getText('text').toJSON()).toBe('0123456')
  })

  test('takes what fits, but at least one, and hands out the rest afterwards', () => {
    const queue = queueOf()
    const updates = typing(3)
    for (const update of updates) queue.push(queued(update, undefined, []))
    expect(queue.take(1).map(({ update }) => update)).toEqual([updates[0]])
    queue.settle()
    expect(queue.take(Infinity).map(({ update }) => update)).toEqual(updates.slice(1))
    queue.settle()
    expect(queue.isEmpty).toBe(true)
  })

  test('a follower hears after everything that was queued before it, and keeps nothing once it has heard', () => {
    const queue = queueOf()
    const heard: string[] = []
    const follower = (name: string) => ({
      committed: (revision: number) => void heard.push(`${name} ${revision}`),
      failed: () => undefined,
    })
    expect(queue.follow(follower('nobody'), 5)).toBe(false)
    const [first, second] = typing(2) as [Uint8Array, Uint8Array]
    queue.push(queued(first, {}, heard, 'first'))
    queue.take(Infinity)
    expect(queue.follow(follower('of what is being written'), 100)).toBe(true)
    queue.push(queued(second, {}, heard, 'second'))
    expect(queue.follow(follower('of what waits'), 1_000)).toBe(true)
    expect(queue.bytes).toBe(first.length + second.length + 1_100)
    expect(queue.length).toBe(4)
    for (let revision = 7; !queue.isEmpty; revision++) {
      for (const { members } of queue.settle()) for (const member of members) queue.announce(member, revision)
      queue.take(Infinity)
    }
    expect(heard).toEqual(['first 7', 'of what is being written 7', 'second 8', 'of what waits 8'])
    expect([queue.bytes, queue.length]).toEqual([0, 0])
  })

  test('failing tells what waits from what is being written, and leaves nothing behind', () => {
    const queue = queueOf()
    const heard: string[] = []
    const [first, second] = typing(2) as [Uint8Array, Uint8Array]
    queue.push(queued(first, {}, heard, 'written'))
    queue.take(Infinity)
    queue.push(queued(second, {}, heard, 'waiting'))
    queue.follow(
      { committed: () => undefined, failed: (error) => heard.push(`follower ${error.message}`) },
      9,
    )
    queue.fail(new Error('refused'), new Error('unknown'))
    expect(heard).toEqual(['written unknown', 'waiting refused', 'follower refused'])
    expect([queue.bytes, queue.length, queue.isEmpty]).toEqual([0, 0, true])
  })

  test('what is pushed while a batch is being written waits for the next', () => {
    const queue = queueOf()
    const heard: string[] = []
    const source = {}
    const [first, second] = typing(2) as [Uint8Array, Uint8Array]
    queue.push(queued(first, source, heard, 'first'))
    expect(queue.take(Infinity).length).toBe(1)
    queue.push(queued(second, source, heard, 'second'))
    const groups = queue.settle()
    expect(groups.flatMap(({ members }) => members).length).toBe(1)
    expect(queue.isEmpty).toBe(false)
    expect(queue.take(Infinity).map(({ update }) => update)).toEqual([second])
  })
})

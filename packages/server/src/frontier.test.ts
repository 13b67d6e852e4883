import { IdSet, resolveLimits } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { Frontier } from './frontier.ts'
import { readUpdate } from './update-reader.ts'
import { mergeUpdates } from './update-writer.ts'

const limits = resolveLimits()
const seed = 20261124

/** A few replicas edit and merge at random; returns every update that each of them emitted. */
function history(random: fc.Random | (() => number), steps: number): Uint8Array[] {
  const next = random as () => number
  const updates: Uint8Array[] = []
  const docs = [1, 2, 3].map((clientID) => {
    const doc = new Y.Doc()
    doc.clientID = clientID
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== 'merge') updates.push(update)
    })
    return doc
  })
  const pick = (n: number): number => Math.floor(next() * n)
  for (let step = 0; step < steps; step++) {
    const doc = docs[pick(docs.length)]!
    const list = doc.getArray<unknown>('list')
    const map = doc.getMap<unknown>('state')
    const text = doc.getText('text')
    switch (pick(8)) {
      case 0:
        list.insert(pick(list.length + 1), [step, `v${step}`])
        break
      case 1:
        if (list.length > 0) list.delete(pick(list.length), 1)
        break
      case 2:
        map.set(`k${pick(4)}`, step)
        break
      case 3:
        map.set(`k${pick(4)}`, new Y.Map([['inner', step]]))
        break
      case 4: {
        const inner = map.get(`k${pick(4)}`)
        if (inner instanceof Y.Map) inner.set(`x${pick(2)}`, new Y.Array())
        break
      }
      case 5:
        text.insert(pick(text.length + 1), `t${step}`)
        break
      case 6:
        if (text.length > 2) text.delete(pick(text.length - 2), 2)
        break
      default: {
        const other = docs[pick(docs.length)]!
        Y.applyUpdate(doc, Y.encodeStateAsUpdate(other), 'merge')
      }
    }
  }
  return updates
}

function stateVectorOf(frontier: Frontier): Map<number, number> {
  return new Map(Y.decodeStateVector(frontier.encodeStateVector()))
}

describe('Frontier', () => {
  test('splits any stream of updates into what integrates now and what must wait, and loses nothing', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 0.999999, noNaN: true })), (numbers) => {
        const next = (): number => numbers.next().value as number
        const updates = history(next, 40)
        // Out of order, some twice, some merged with a neighbour.
        const arrivals = updates.flatMap((update, i) =>
          next() < 0.2 ? [update, updates[(i + 3) % updates.length]!] : [update],
        )
        for (let i = arrivals.length - 1; i > 0; i--) {
          if (next() < 0.5) continue
          const j = Math.floor(next() * (i + 1))
          ;[arrivals[i], arrivals[j]] = [arrivals[j]!, arrivals[i]!]
        }
        const frontier = new Frontier(limits)
        const committed = new Y.Doc({ gc: false })
        let held: { update: Uint8Array; missing: { client: number; clock: number } }[] = []
        const admit = (bytes: Uint8Array): void => {
          const update = readUpdate(bytes, limits, true)
          const news = frontier.hasNews(update)
          const { fresh, blocked, known } = frontier.admit(update)
          expect(news).toBe(!known)
          expect(known).toBe(fresh === undefined && blocked === undefined)
          if (fresh !== undefined) {
            Y.applyUpdate(committed, fresh.update)
            // Every prefix of the log integrates.
            expect(committed.store.pendingStructs).toBeNull()
            expect(committed.store.pendingDs).toBeNull()
          }
          if (blocked !== undefined) {
            expect(blocked.missing.clock).toBeGreaterThanOrEqual(frontier.clock(blocked.missing.client))
            held.push(blocked)
          }
          expect(stateVectorOf(frontier)).toEqual(
            new Map(Y.decodeStateVector(Y.encodeStateVector(committed))),
          )
        }
        const settle = (): void => {
          const ready = held.filter(({ missing }) => frontier.clock(missing.client) > missing.clock)
          if (ready.length === 0) return
          held = held.filter((update) => !ready.includes(update))
          for (const { update } of ready) admit(update)
          settle()
        }
        for (const update of arrivals) {
          admit(update)
          settle()
        }
        const oracle = new Y.Doc({ gc: false })
        for (const update of updates) Y.applyUpdate(oracle, update)
        expect(held).toEqual([])
        expect(committed.getArray('list').toJSON()).toEqual(oracle.getArray('list').toJSON())
        expect(committed.getMap('state').toJSON()).toEqual(oracle.getMap('state').toJSON())
        expect(committed.getText('text').toJSON()).toBe(oracle.getText('text').toJSON())
        // Everything comes in once more, whole: nothing of it is new.
        for (const update of [...updates, mergeUpdates(updates)]) {
          expect(frontier.admit(readUpdate(update, limits, false)).known).toBe(true)
        }
      }),
      { seed, numRuns: 150 },
    )
  })

  test('relays the very bytes of an update that is new as a whole', () => {
    const doc = new Y.Doc()
    const frontier = new Frontier(limits)
    doc.on('update', (update: Uint8Array) => {
      expect(frontier.admit(readUpdate(update, limits, true)).fresh?.update).toBe(update)
    })
    doc.getText('text').insert(0, 'hello')
    doc.getText('text').delete(1, 2)
    doc.getMap('state').set('k', 1)
    expect(frontier.clock(doc.clientID)).toBe(6)
  })

  test('takes a reconnecting client’s step 2 with its whole delete set for nothing new', () => {
    const doc = new Y.Doc()
    const frontier = new Frontier(limits)
    doc.on('update', (update: Uint8Array) => void frontier.admit(readUpdate(update, limits, true)))
    for (let i = 0; i < 200; i++) doc.getText('text').insert(0, 'ab')
    for (let i = 0; i < 100; i++) doc.getText('text').delete(i, 1)
    const stepTwo = Y.encodeStateAsUpdate(doc, frontier.encodeStateVector())
    expect(stepTwo.length).toBeGreaterThan(100)
    expect(frontier.admit(readUpdate(stepTwo, limits, false)).known).toBe(true)
  })

  test('refuses shared types nested deeper than the limit, across updates and beside siblings, and takes nothing in', () => {
    const shallow = resolveLimits({ updateDepthMax: 20 })
    const doc = new Y.Doc()
    const frontier = new Frontier(shallow)
    let refusedAt = 0
    doc.on('update', (update: Uint8Array) => {
      const before = frontier.encodeStateVector()
      try {
        frontier.admit(readUpdate(update, shallow, true))
      } catch (error) {
        expect(error).toMatchObject({ code: 'update-too-large', details: { limit: 'updateDepthMax' } })
        expect(frontier.encodeStateVector()).toEqual(before)
        refusedAt ||= depth
      }
    })
    let depth = 0
    let list = doc.getArray<unknown>('deep')
    for (depth = 1; depth <= 30 && refusedAt === 0; depth++) {
      const inner = new Y.Array<unknown>()
      list.insert(0, ['sibling'])
      list.insert(1, [inner])
      list = inner
    }
    expect(refusedAt).toBe(22)
  })

  test('keeps its cost when an update is made to be slow: a thousand clients that wait for each other', () => {
    // Client n's only struct has client n+1's as its origin, and they come in the worst order.
    const docs = Array.from({ length: 1_000 }, (_, i) => {
      const doc = new Y.Doc()
      doc.clientID = i + 1
      return doc
    })
    let previous: Y.Doc | undefined
    for (const doc of docs.toReversed()) {
      if (previous !== undefined) Y.applyUpdate(doc, Y.encodeStateAsUpdate(previous))
      doc.getText('t').insert(doc.getText('t').length, 'x')
      previous = doc
    }
    const frontier = new Frontier(limits)
    const { fresh, blocked } = frontier.admit(readUpdate(Y.encodeStateAsUpdate(previous!), limits, false))
    expect(blocked).toBeUndefined()
    expect(fresh?.increment.clocks.size).toBe(1_000)
  })

  test('refuses clocks that are claimed without content', () => {
    // One GC struct of 1,000,000 clocks in somebody else's name: nine bytes.
    const claim = new Uint8Array([1, 1, 5, 0, 0, 192, 132, 61, 0])
    expect(() => readUpdate(claim, limits, true)).toThrowError(
      expect.objectContaining({ code: 'update-too-large' }),
    )
    expect(() => readUpdate(new Uint8Array([1, 2, 3, 200]), limits, true)).toThrowError(
      expect.objectContaining({ code: 'invalid-update' }),
    )
  })

  test('holds a deletion that names what is not there yet', () => {
    const doc = new Y.Doc()
    const updates: Uint8Array[] = []
    doc.on('update', (update: Uint8Array) => updates.push(update))
    doc.getText('t').insert(0, 'abc')
    doc.getText('t').delete(0, 1)
    const frontier = new Frontier(limits)
    const early = frontier.admit(readUpdate(updates[1]!, limits, true))
    expect(early.fresh).toBeUndefined()
    expect(early.blocked?.missing).toEqual({ client: doc.clientID, clock: 0 })
    frontier.admit(readUpdate(updates[0]!, limits, true))
    const late = frontier.admit(readUpdate(early.blocked!.update, limits, true))
    expect(late.fresh?.increment.deletes).toEqual(idSet(doc.clientID, 0, 1))
  })
})

function idSet(client: number, clock: number, length: number): IdSet {
  const set = new IdSet()
  set.add(client, clock, length)
  return set
}

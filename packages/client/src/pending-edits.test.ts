import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { PendingEdits } from './pending-edits.ts'
import { isIntegrated } from './update-ids.ts'

/** The slow, obvious way: every id by itself. */
class EveryId {
  readonly ids = new Set<string>()

  static of(update: Uint8Array): Set<string> {
    const { structs, ds } = Y.decodeUpdate(update)
    const ids = new Set<string>()
    for (const { id, length } of structs)
      for (let n = 0; n < length; n++) ids.add(`insert ${id.client} ${id.clock + n}`)
    for (const [client, ranges] of ds.clients)
      for (const { clock, len } of ranges)
        for (let n = 0; n < len; n++) ids.add(`delete ${client} ${clock + n}`)
    return ids
  }

  add(update: Uint8Array): void {
    for (const id of EveryId.of(update)) this.ids.add(id)
  }

  confirm(update: Uint8Array): void {
    for (const id of EveryId.of(update)) this.ids.delete(id)
  }

  confirmClocks(clocks: ReadonlyMap<number, number>): void {
    for (const id of this.ids) {
      const [kind, client, clock] = id.split(' ')
      if (kind === 'insert' && Number(clock) < (clocks.get(Number(client)) ?? 0)) this.ids.delete(id)
    }
  }
}

const step = fc.record({
  edit: fc.boolean(),
  author: fc.nat(1),
  at: fc.nat(100),
  length: fc.integer({ min: 1, max: 6 }),
  confirm: fc.constantFrom('none', 'first', 'merged', 'clocks'),
})

describe('PendingEdits', () => {
  it('knows of every id whether it was confirmed, and can send all that was not', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const authors = [new Y.Doc(), new Y.Doc()] as const
        const made: Uint8Array[] = []
        const pending = new PendingEdits()
        const oracle = new EveryId()
        const all = new Y.Doc()
        for (const doc of authors)
          doc.on('update', (update, origin) => {
            if (origin === 'peer') return
            made.push(update)
            pending.add(update)
            oracle.add(update)
            Y.applyUpdate(all, update)
          })
        for (const { edit, author, at, length, confirm } of steps) {
          const doc = authors[author] ?? authors[0]
          const text = doc.getText('text')
          if (edit || text.length === 0) text.insert(at % (text.length + 1), 'x'.repeat(length))
          else text.delete(at % text.length, Math.min(length, text.length - (at % text.length)))
          const other = authors[1 - author] ?? authors[0]
          if (at % 3 === 0) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc), 'peer')
          const confirmed =
            confirm === 'first' ? made.shift() : confirm === 'merged' ? Y.mergeUpdates(made) : undefined
          if (confirmed !== undefined && made.length > 0) {
            pending.confirm(confirmed)
            oracle.confirm(confirmed)
          } else if (confirm === 'clocks') {
            const clocks = Y.decodeStateVector(Y.encodeStateVector(authors[0]))
            pending.confirmClocks(clocks)
            oracle.confirmClocks(clocks)
          }
          expect(pending.units).toBe(oracle.ids.size)
          const update = pending.toUpdate()
          const carried = update === undefined ? new Set<string>() : EveryId.of(update)
          for (const id of oracle.ids) expect(carried.has(id)).toBe(true)
          expect(update === undefined).toBe(oracle.ids.size === 0)
        }
        const rest = new Y.Doc()
        for (const doc of authors) Y.applyUpdate(rest, Y.encodeStateAsUpdate(doc))
        expect(isIntegrated(rest, Y.encodeStateAsUpdate(all))).toBe(true)
      }),
      { seed: 41, numRuns: 200 },
    )
  })

  it('tells an update that is integrated from one that waits', () => {
    const author = new Y.Doc()
    const updates: Uint8Array[] = []
    author.on('update', (update) => updates.push(update))
    author.getText('text').insert(0, 'ab')
    author.getText('text').insert(2, 'cd')
    author.getText('text').delete(0, 4)
    const [first = new Uint8Array(), second = new Uint8Array(), third = new Uint8Array()] = updates
    const reader = new Y.Doc()
    for (const early of [second, third]) {
      Y.applyUpdate(reader, early)
      expect(isIntegrated(reader, early)).toBe(false)
    }
    Y.applyUpdate(reader, first)
    for (const update of [first, second, third]) expect(isIntegrated(reader, update)).toBe(true)
  })
})

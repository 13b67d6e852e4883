import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { integratedState, relationOf } from './integrated-state.ts'

/** Edits of one of three documents, and exchanges between two of them. */
const step = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(2), place: fc.nat(20), text: fc.string() }),
  fc.record({ kind: fc.constant('delete' as const), at: fc.nat(2), place: fc.nat(20) }),
  fc.record({ kind: fc.constant('sync' as const), at: fc.nat(2), to: fc.nat(2) }),
)

function play(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]): Y.Doc[] {
  const docs = [1, 2, 3].map((clientId) => {
    const doc = new Y.Doc()
    doc.clientID = clientId
    return doc
  })
  for (const each of steps) {
    const doc = docs[each.at]!
    const text = doc.getText('t')
    if (each.kind === 'insert') text.insert(Math.min(each.place, text.length), each.text)
    else if (each.kind === 'sync') Y.applyUpdate(docs[each.to]!, Y.encodeStateAsUpdate(doc))
    else if (text.length > 0) text.delete(Math.min(each.place, text.length - 1), 1)
  }
  return docs
}

/** The obvious way: bring everything over and see whether anything changed. */
function addsNothing(existing: Y.Doc, incoming: Y.Doc): boolean {
  const merged = new Y.Doc()
  Y.applyUpdate(merged, Y.encodeStateAsUpdate(existing))
  const before = Y.snapshot(merged)
  Y.applyUpdate(merged, Y.encodeStateAsUpdate(incoming))
  return Y.equalSnapshots(before, Y.snapshot(merged))
}

describe('relationOf', () => {
  it('says what a merge would find out', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const [existing, incoming] = play(steps) as [Y.Doc, Y.Doc]
        const covers = addsNothing(existing, incoming)
        const isCovered = addsNothing(incoming, existing)
        const relation = relationOf(existing, incoming)
        seen.add(relation)
        expect(relation).toBe(covers ? (isCovered ? 'equal' : 'contains') : 'lacks')
      }),
      { seed: 20261124, numRuns: 500 },
    )
    expect([...seen].toSorted()).toEqual(['contains', 'equal', 'lacks'])
  })
})

describe('integratedState', () => {
  it('leaves behind what builds on lost edits, and says how much', () => {
    const author = new Y.Doc()
    const updates: Uint8Array[] = []
    author.on('update', (update: Uint8Array) => updates.push(update))
    for (const letter of 'abc') author.getText('t').insert(author.getText('t').length, letter)
    const torn = new Y.Doc()
    Y.applyUpdate(torn, updates[0]!)
    Y.applyUpdate(torn, updates[2]!)
    const { update, pendingBytes, isEmpty } = integratedState(torn)
    expect(pendingBytes).toBeGreaterThan(0)
    expect(isEmpty).toBe(false)
    const copy = new Y.Doc()
    Y.applyUpdate(copy, update)
    expect(copy.getText('t').toJSON()).toBe('a')
    expect(copy.store.pendingStructs).toBeNull()
    expect(integratedState(copy).pendingBytes).toBe(0)
  })

  it('takes a document that was cleared for more than an empty one', () => {
    const doc = new Y.Doc()
    expect(integratedState(doc).isEmpty).toBe(true)
    doc.getText('t').insert(0, 'a')
    doc.getText('t').delete(0, 1)
    expect(integratedState(doc).isEmpty).toBe(false)
  })
})

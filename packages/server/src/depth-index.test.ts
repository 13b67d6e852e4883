import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { DepthIndex } from './depth-index.ts'

/** How many shared types an item lies in, not counting its root. */
function depthOf(item: Y.Item): number {
  const parent = item.parent as Y.AbstractType<unknown>
  return parent._item === null ? 0 : depthOf(parent._item) + 1
}

/** A document of nested types, built by two replicas at once. */
function nested(choices: readonly number[]): Y.Doc {
  const docs = [1, 2].map((clientID) => {
    const doc = new Y.Doc({ gc: false })
    doc.clientID = clientID
    return doc
  })
  for (const choice of choices) {
    const doc = docs[choice % 2]!
    let place: Y.Map<unknown> | Y.Array<unknown> = doc.getMap('state')
    for (let bits = choice >> 3; bits > 0; bits >>= 1) {
      const child: unknown =
        place instanceof Y.Map ? place.get('child') : place.length > 0 ? place.get(0) : undefined
      if (!(child instanceof Y.Map || child instanceof Y.Array)) break
      place = child
    }
    const made = choice % 3 === 0 ? 'leaf' : choice % 3 === 1 ? new Y.Map() : new Y.Array()
    if (place instanceof Y.Map) place.set('child', made)
    else place.insert(0, [made])
    if (choice % 5 === 0) Y.applyUpdate(docs[1 - (choice % 2)]!, Y.encodeStateAsUpdate(doc))
  }
  Y.applyUpdate(docs[0]!, Y.encodeStateAsUpdate(docs[1]!))
  return docs[0]!
}

/** The items of an update, in an order in which each comes after what it builds on. */
function inOrder(doc: Y.Doc): Y.Item[] {
  const decoded = Y.decodeUpdate(Y.encodeStateAsUpdate(doc)).structs.filter(
    (struct) => struct instanceof Y.Item,
  )
  const placed = new Map<number, number>()
  const ordered: Y.Item[] = []
  const has = (id: Y.ID | null): boolean => id === null || id.clock < (placed.get(id.client) ?? 0)
  while (ordered.length < decoded.length) {
    const before = ordered.length
    for (const item of decoded) {
      const { client, clock } = item.id
      if (clock !== (placed.get(client) ?? 0) || !has(item.origin) || !has(item.rightOrigin)) continue
      if (item.parent instanceof Y.ID && !has(item.parent)) continue
      placed.set(client, clock + item.length)
      ordered.push(item)
    }
    if (ordered.length === before) throw new Error('The items wait for each other')
  }
  return ordered
}

const trees = fc.array(fc.integer({ min: 0, max: 1 << 12 }), { minLength: 1, maxLength: 60 })

test('an item is accepted exactly when it lies within the limit', () => {
  fc.assert(
    fc.property(trees, fc.integer({ min: 0, max: 6 }), (choices, max) => {
      const doc = nested(choices)
      const index = new DepthIndex(max)
      for (const item of inOrder(doc)) {
        const integrated = Y.getItem(doc.store, item.id)
        const depth = depthOf(integrated)
        expect(index.place(item)).toBe(depth <= max)
        // A document is refused as a whole, so nothing is asked about after the first that lies too deep.
        if (depth > max) return
      }
    }),
    { seed: 20261124, numRuns: 100 },
  )
})

test('what is taken back leaves no trace', () => {
  fc.assert(
    fc.property(trees, trees, (kept, takenBack) => {
      const items = inOrder(nested(kept))
      const index = new DepthIndex(3)
      const untouched = new DepthIndex(3)
      let allowed = true
      for (const item of items) {
        allowed &&= untouched.place(item)
        if (!allowed) return
        index.place(item)
      }
      index.keepPlaced()
      for (const item of inOrder(nested([...kept, ...takenBack])).slice(items.length)) index.place(item)
      index.forgetPlaced()
      const probe = inOrder(nested([...kept, 8, 16, 24, 32]))
      for (const item of probe) expect(index.place(item)).toBe(untouched.place(item))
    }),
    { seed: 20261124, numRuns: 60 },
  )
})

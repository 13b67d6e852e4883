import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonView, type JsonPatch } from '../src/index.ts'
import { canonical, type Json, type Operation } from './oracle/json.ts'
import { project } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { applyStrict } from './oracle/strict-patch.ts'

// Lists beyond some thousand elements have an index of positions. It must not be noticed, whatever Yjs does to items:
// merging neighbours, collecting them, splitting them.
describe('101 long lists, with the index on', () => {
  it.each([
    { gc: true, elements: 'objects' },
    { gc: false, elements: 'objects' },
    { gc: true, elements: 'numbers' },
    { gc: false, elements: 'numbers' },
    // Tombstones between the elements, which merge when the elements go, too.
    { gc: true, elements: 'sparse numbers' },
    { gc: false, elements: 'sparse numbers' },
  ])('random edits, near each other and far apart: gc $gc, $elements', ({ gc, elements }) => {
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 60 }), (seed, steps) => {
        const rng = new Rng(seed)
        const numbers = elements !== 'objects'
        const doc = new Y.Doc({ gc })
        doc.clientID = 1
        const list = new Y.Array<unknown>()
        doc.getMap('state').set('l', list)
        let next = 0
        const make = (): unknown => (numbers ? next++ : new Y.Map([['n', next++]]))
        list.push(
          Array.from({ length: (elements === 'sparse numbers' ? 2 : 1) * (2_200 + rng.int(1_500)) }, make),
        )
        if (elements === 'sparse numbers') doc.transact(() => thin(list))
        const other = new Y.Doc({ gc })
        other.clientID = 2
        Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
        const view = new JsonView(doc)
        let before = project(doc.getMap('state'))
        let version = view.version
        const place = (): number => Math.floor((list.length * rng.pick([0.1, 0.35, 0.36, 0.5, 0.9, 1])) / 1)
        for (let i = 0; i < steps; i++) {
          // Something happens that has positions: here, over there, or in a patch.
          const dice = rng.next()
          const size = rng.pick([1, 1, 3, 40, 300])
          const at = Math.max(0, Math.min(list.length - size, place()))
          if (list.length < 2_050 || dice < 0.3)
            list.insert(Math.min(list.length, place()), Array.from({ length: size }, make))
          else if (dice < 0.5) for (let k = 0; k < size; k++) list.delete(at)
          else if (dice < 0.6) list.delete(at, size)
          else if (dice < 0.75) {
            const remote = other.getMap('state').get('l') as Y.Array<unknown>
            remote.delete(rng.int(remote.length - 1), 1)
            remote.insert(rng.int(remote.length), [numbers ? next++ : new Y.Map([['n', next++]])])
            Y.applyUpdate(doc, Y.encodeStateAsUpdate(other, Y.encodeStateVector(doc)))
            Y.applyUpdate(other, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(other)))
          } else {
            const now = project(doc.getMap('state'))
            const patch = positions(rng, list.length, numbers)
            view.apply(patch as unknown as JsonPatch)
            expect(canonical(project(doc.getMap('state')))).toBe(canonical(applyStrict(now, patch)))
          }
          if (rng.chance(0.3)) continue
          const state: Json = project(doc.getMap('state'))
          const patch = view.diff(version) as unknown as Operation[]
          expect(canonical(applyStrict(before, patch))).toBe(canonical(state))
          if (!gc) expect(canonical(view.read({ at: version }))).toBe(canonical(before))
          before = state
          version = view.version
        }
        view.destroy()
      }),
      { seed: 61, numRuns: runs(12) },
    )
  })

  it('one element after the other goes at one place', () => {
    const doc = new Y.Doc({ gc: false })
    const list = new Y.Array<number>()
    doc.getMap('state').set('l', list)
    list.push(Array.from({ length: 8_000 }, (_, i) => i))
    thin(list)
    const view = new JsonView(doc)
    const look = (index: number): void => {
      view.apply([{ op: 'test', path: `/l/${index}`, value: list.get(index) }])
    }
    look(0)
    for (let k = 0; k < 900; k++) {
      list.delete(1_280)
      for (const index of [1_000, 1_240, 1_279, 1_280, 1_600, 2_500]) look(index)
    }
  })
})

/** Every other element goes. */
function thin(list: { readonly length: number; delete(index: number): void }): void {
  for (let i = (list.length >> 1) - 1; i >= 0; i--) list.delete(i * 2)
}

function positions(rng: Rng, length: number, numbers: boolean): Operation[] {
  const around = rng.int(length - 20)
  return Array.from({ length: 4 }, (): Operation => {
    const path = `/l/${rng.chance(0.5) ? around + rng.int(10) : rng.int(length - 4)}`
    const dice = rng.next()
    if (dice < 0.3) return { op: 'remove', path }
    if (dice < 0.6) return { op: 'add', path, value: numbers ? -1 : { n: -1 } }
    return numbers ? { op: 'replace', path, value: -2 } : { op: 'add', path: `${path}/m`, value: -2 }
  })
}

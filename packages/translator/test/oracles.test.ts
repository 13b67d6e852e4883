import fc from 'fast-check'
import { expect, it } from 'vitest'
import * as Y from 'yjs'
import { canonical, type Json } from './oracle/json.ts'
import { Model } from './oracle/model.ts'
import { applyNaively, forkDiffers, mergeFork } from './oracle/naive.ts'
import { makeEdit, makePatch, type PatchShape } from './oracle/patches.ts'
import { project } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'

const shape: PatchShape = {
  operationsMax: 3,
  operations: ['add', 'add', 'remove', 'replace'],
  containers: false,
  dash: false,
}

// The anchored tests trust two oracles that share nothing: a list model and Yjs' own merge. Here they check each other.
it('the list model and a merged fork agree on one stale patch', () => {
  let compared = 0
  fc.assert(
    fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 30 }), (seed, steps) => {
      const rng = new Rng(seed)
      const doc = new Y.Doc({ gc: false })
      const model = new Model()
      const edit = (): void => {
        const patch = makeEdit(rng, model.json(), shape)
        model.apply(patch, new Set(model.now))
        applyNaively(doc, patch)
      }
      for (let i = 0; i < steps; i++) edit()
      const seen = new Set(model.now)
      const state = project(doc.getMap('state'))
      const then = Y.encodeStateAsUpdate(doc)
      for (let i = rng.int(steps); i > 0; i--) edit()
      expect(canonical(model.json())).toBe(canonical(project(doc.getMap('state'))))

      const patch = makePatch(rng, state, shape)
      const conflicts = model.apply(patch, seen)
      if (forkDiffers(patch, conflicts)) return
      const merged = mergeFork(then, Y.encodeStateAsUpdate(doc), patch)
      const result: Json = project(merged.getMap('state'))
      expect(canonical(model.json())).toBe(canonical(result))
      compared += 1
    }),
    { seed: 1, numRuns: runs(500) },
  )
  expect(compared).toBeGreaterThan(runs(500) / 2)
})

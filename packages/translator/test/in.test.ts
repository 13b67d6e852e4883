import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { applyPatch, applyState, JsonView, seed, toJson, type JsonPatch } from '../src/index.ts'
import { editRandomly } from './oracle/generate.ts'
import { canonical, clone, isObject, type Json, type Operation } from './oracle/json.ts'
import { makePatch, type PatchShape } from './oracle/patches.ts'
import { project } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { expectRefused } from './oracle/scene.ts'
import { applyStrict, PatchFailure } from './oracle/strict-patch.ts'

const shape: PatchShape = {
  operationsMax: 6,
  operations: ['add', 'add', 'remove', 'replace', 'move', 'copy', 'test'],
  containers: true,
  dash: true,
}

describe('a patch does to the document what RFC 6902 does to its JSON', () => {
  it('random patches, valid and broken', () => {
    const done = { applied: 0, refused: 0, operations: 0 }
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 25 }), (seed, steps) =>
        runIn(new Rng(seed), steps, done),
      ),
      { seed: 21, numRuns: runs(150) },
    )
    expect(done.applied).toBeGreaterThan(800)
    expect(done.refused).toBeGreaterThan(200)
    expect(done.operations).toBeGreaterThan(3_000)
  })
})

function runIn(
  rng: Rng,
  steps: number,
  done: { applied: number; refused: number; operations: number },
): void {
  const doc = new Y.Doc({ gc: rng.chance(0.5) })
  doc.clientID = 1 + rng.int(1_000)
  for (let i = rng.int(30); i > 0; i--) editRandomly(rng, doc, { exotic: true, text: true })
  doc.getText('text').delete(0, doc.getText('text').length)
  const replica = new Y.Doc()
  Y.applyUpdate(replica, Y.encodeStateAsUpdate(doc))
  doc.on('update', (update: Uint8Array) => Y.applyUpdate(replica, update))
  const view = new JsonView(doc, { auto: false })
  const origin = Symbol('origin')
  for (let i = 0; i < steps; i++) {
    const before = project(doc.getMap('state'))
    const valid = makePatch(rng, before, shape)
    const patch = rng.chance(0.35) ? breakPatch(rng, valid) : valid
    if (leavesObjects(before, patch)) {
      // The JSON root is an object, in between too.
      expect(() => view.apply(patch as unknown as JsonPatch)).toThrow()
      expect(canonical(project(doc.getMap('state')))).toBe(canonical(before))
      continue
    }
    const expected = attempt(() => applyStrict(before, patch))
    if (expected instanceof PatchFailure) {
      expectRefused(
        doc,
        () => view.apply(patch as unknown as JsonPatch),
        expected.message.endsWith('test failed') ? 'test-failed' : 'invalid-patch',
      )
      const error = attempt(() => view.apply(patch as unknown as JsonPatch))
      expect(error).toMatchObject({ details: { index: expected.index } })
      done.refused += 1
      continue
    }
    const version = view.version
    let transactions = 0
    const count = (transaction: Y.Transaction): void => {
      // When a subdocument goes, Yjs opens an empty transaction of its own to make a new handle on it.
      if (transaction.changed.size === 0 && transaction.origin === null) return
      transactions += 1
      expect(transaction.origin).toBe(origin)
    }
    doc.on('afterTransaction', count)
    const result = view.apply(patch as unknown as JsonPatch, { origin })
    doc.off('afterTransaction', count)
    expect(transactions).toBeLessThanOrEqual(1)
    expect(result.conflicts).toEqual([])
    expect(result.applied).toBe(patch.length)
    const after = project(doc.getMap('state'))
    expect(canonical(after)).toBe(canonical(expected))
    expect(canonical(project(replica.getMap('state')))).toBe(canonical(expected))
    const delta = view.diff(version) as unknown as Operation[]
    expect(canonical(applyStrict(before, delta))).toBe(canonical(expected))
    done.applied += 1
    done.operations += patch.length
    if (rng.chance(0.3)) editRandomly(rng, doc, {})
  }
  view.destroy()
}

function attempt<T>(act: () => T): T | Error {
  try {
    return act()
  } catch (error) {
    return error as Error
  }
}

/** Whether the patch makes the root something else than an object on its way. */
function leavesObjects(before: Json, patch: readonly Operation[]): boolean {
  let state = before
  for (const operation of patch) {
    const next = attempt(() => applyStrict(state, [operation]))
    if (next instanceof Error) return false
    if (!isObject(next)) return true
    state = next
  }
  return false
}

/** Makes something wrong with a patch, or at least odd. */
function breakPatch(rng: Rng, valid: readonly Operation[]): Operation[] {
  const patch = clone(valid) as (Operation & Record<string, unknown>)[]
  if (patch.length === 0) return [{ op: 'remove', path: '/nothing' }]
  const at = rng.int(patch.length)
  const operation = patch[at]!
  const spoil: (() => void)[] = [
    () => patch.push({ op: 'test', path: operation.path, value: 'not this' }),
    () => patch.splice(at, 0, { op: 'remove', path: '/no/such/place' }),
    () => (patch[at] = { ...operation, path: `${operation.path}/x/y` }),
    () => (patch[at] = { ...operation, path: operation.path.replace(/\d+$/, '99') }),
    () => (patch[at] = { ...operation, path: operation.path.replace(/(\d+)$/, '0$1') }),
    () => (patch[at] = { ...operation, path: operation.path.replace(/\d+$/, '-') }),
    () => (patch[at] = { ...operation, path: operation.path.slice(1) }),
    () => (patch[at] = { ...operation, path: `${operation.path}~` }),
    () => (patch[at] = { ...operation, op: 'remove' }),
    () => (patch[at] = { op: 'move', from: operation.path, path: `${operation.path}/inside` }),
    () => patch.splice(at, 0, clone(operation)),
    () => patch.splice(0, patch.length, ...patch.toReversed()),
  ]
  rng.pick(spoil)()
  return patch
}

describe('one-off functions', () => {
  it('applyPatch and applyState end in the given state, and a text keeps its identity', () => {
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), (seedNumber) => {
        const rng = new Rng(seedNumber)
        const doc = new Y.Doc()
        for (let i = rng.int(30); i > 0; i--) editRandomly(rng, doc, { text: true })
        doc.getText('text').delete(0, doc.getText('text').length)
        const before = project(doc.getMap('state'))
        let next = before
        for (let i = rng.int(4); i > 0; i--) next = applyStrict(next, makePatch(rng, next, shape))
        const other = new Y.Doc()
        Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
        applyState(doc, next, { auto: false })
        expect(canonical(project(doc.getMap('state')))).toBe(canonical(next))
        // What is there already writes nothing.
        const bytes = Y.encodeStateAsUpdate(doc)
        applyState(doc, clone(next), { auto: false })
        expect(Y.encodeStateAsUpdate(doc)).toEqual(bytes)
        const patch = makePatch(rng, before, shape)
        applyPatch(other, patch as unknown as JsonPatch)
        expect(canonical(project(other.getMap('state')))).toBe(canonical(applyStrict(before, patch)))
      }),
      { seed: 22, numRuns: runs(150) },
    )
  })

  it('seed: the same JSON is the same bytes, twice is once, and two seeders do not overwrite each other', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__'),
          fc.jsonValue(),
        ),
        (json) => {
          const state = JSON.parse(JSON.stringify(json)) as { [key: string]: Json }
          const wellFormed = JSON.stringify(state).includes('\\ud') ? undefined : state
          if (wellFormed === undefined || JSON.stringify(state).includes('"__proto__"')) return
          const bytes = seed(wellFormed)
          expect(seed(clone(wellFormed))).toEqual(bytes)
          const [one, two] = [new Y.Doc(), new Y.Doc()]
          Y.applyUpdate(one, bytes)
          expect(canonical(toJson(one.getMap('state')))).toBe(canonical(state))
          const before = Y.encodeStateAsUpdate(one)
          Y.applyUpdate(one, bytes)
          expect(Y.encodeStateAsUpdate(one)).toEqual(before)
          // Somebody else seeds too, edits, and merges.
          Y.applyUpdate(two, seed(wellFormed))
          two.getMap('state').set('edited', true)
          one.getMap('state').set('also', true)
          Y.applyUpdate(one, Y.encodeStateAsUpdate(two))
          expect(canonical(toJson(one.getMap('state')))).toBe(
            canonical({ ...state, edited: true, also: true }),
          )
        },
      ),
      { seed: 23, numRuns: runs(200) },
    )
  })
})

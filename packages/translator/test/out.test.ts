import fc from 'fast-check'
import jsonpatch from 'fast-json-patch'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonView, map, text, xml, type JsonPatch, type Version } from '../src/index.ts'
import type { Flavour } from './oracle/generate.ts'
import { canonical, clone, pointer, type Json, type Operation } from './oracle/json.ts'
import { projectDoc } from './oracle/project.ts'
import { slots } from './oracle/patches.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { applyStrict } from './oracle/strict-patch.ts'
import { World } from './oracle/world.ts'

const flavours: Record<string, Flavour> = {
  'maps and arrays': {},
  'what JSON cannot say': { exotic: true },
  texts: { text: true },
  'rich texts': { text: true, rich: true, exotic: true },
  xml: { xml: true },
  everything: { exotic: true, text: true, rich: true, xml: true },
}

interface Retained {
  readonly version: Version
  readonly state: Json
}

describe.each(Object.entries(flavours))(
  'a patch leads from the old JSON to the new one: %s',
  (_, flavour) => {
    it.each([
      { gc: false, stored: false },
      { gc: true, stored: false },
      { gc: false, stored: true },
      { gc: true, stored: true },
    ])('gc $gc, loaded from storage $stored', ({ gc, stored }) => {
      const done = { flushes: 0, operations: 0, retained: 0 }
      fc.assert(
        fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 1, max: 40 }), (seed, steps) =>
          runOut(new Rng(seed), { flavour, gc, stored, steps, done }),
        ),
        { seed: 7, numRuns: runs(25) },
      )
      // A run that tested nothing would pass, too.
      expect(done.flushes).toBeGreaterThan(100)
      expect(done.operations).toBeGreaterThan(100)
      if (!gc) expect(done.retained).toBeGreaterThan(100)
    })
  },
)

it('a list that changes at so many places that it is replaced, with lists inside that changed too', () => {
  let replaced = 0
  fc.assert(
    fc.property(fc.noShrink(fc.nat()), (seed) => {
      const rng = new Rng(seed)
      const doc = new Y.Doc({ gc: rng.chance(0.5) })
      const list = new Y.Array<unknown>()
      doc.getMap('state').set('l', list)
      const inner = (): Y.Array<number> => Y.Array.from([rng.int(10)])
      list.push(Array.from({ length: 30 }, () => (rng.chance(0.3) ? inner() : rng.int(10))))
      const view = new JsonView(doc)
      const before = projectDoc(doc)
      const version = view.version
      for (let i = 10 + rng.int(50); i > 0; i--) {
        const at = rng.int(list.length)
        const element = list.get(at)
        if (element instanceof Y.Array) element.insert(0, [rng.int(10), inner()])
        else if (rng.chance(0.6) || list.length < 5) list.insert(at, [rng.int(10)])
        else list.delete(at)
      }
      const patch = view.diff(version)
      check(before, patch, projectDoc(doc))
      if (patch.some(({ path }) => path === '/l')) replaced += 1
      view.destroy()
    }),
    { seed: 8, numRuns: runs(200) },
  )
  expect(replaced).toBeGreaterThan(20)
})

interface Run {
  readonly flavour: Flavour
  readonly gc: boolean
  readonly stored: boolean
  readonly steps: number
  readonly done: { flushes: number; operations: number; retained: number }
}

function runOut(rng: Rng, { flavour, gc, stored, steps, done }: Run): void {
  const main = new Y.Doc({ gc })
  if (stored) {
    // What is loaded has merged tombstones, unknown deleted content and untyped roots.
    const before = new World(rng, flavour, new Y.Doc({ gc }))
    for (let i = 0; i < 40; i++) before.step()
    Y.applyUpdate(main, Y.encodeStateAsUpdate(before.settle()[0]!))
  }
  const mounts = {
    '': map('state'),
    ...(flavour.text === true ? { '/text': text('text') } : {}),
    ...(flavour.xml === true ? { '/document': xml('prosemirror') } : {}),
  }
  const view = new JsonView(main, { mounts })
  const world = new World(rng, flavour, main)
  const state = (): Json =>
    projectDoc(main, {
      ...(flavour.text === true ? { '/text': main.getText('text') } : {}),
      ...(flavour.xml === true ? { '/document': main.getXmlFragment('prosemirror') } : {}),
    })
  const retained: Retained[] = []
  let last: Retained = { version: view.version, state: state() }
  expect(canonical(view.read())).toBe(canonical(last.state))
  for (let i = 0; i < steps; i++) {
    world.step()
    if (rng.chance(0.4)) continue
    const now = state()
    const patch = view.diff(last.version)
    check(last.state, patch, now)
    checkPart(rng, view, last, now)
    expect(canonical(view.read())).toBe(canonical(now))
    done.flushes += 1
    done.operations += patch.length
    last = { version: view.version, state: now }
    expect(view.diff(last.version)).toEqual([])
    if (gc) continue
    retained.push(last)
    for (const { version, state } of retained) {
      check(state, view.diff(version), now)
      expect(canonical(view.read({ at: version }))).toBe(canonical(state))
      done.retained += 1
    }
  }
  world.settle()
  check(last.state, view.diff(last.version), state())
  view.destroy()
}

/** The same for a part of the state, whose paths start there. */
function checkPart(rng: Rng, view: JsonView, { version, state }: Retained, now: Json): void {
  const parts = new Map(slots(state).map(({ path, value }) => [pointer(path), value]))
  const { path, value } = rng.pick(slots(now))
  const old = parts.get(pointer(path))
  if (old === undefined) return
  check(old, view.diff(version, { pointer: pointer(path) }), value)
  expect(canonical(view.read({ pointer: pointer(path) }))).toBe(canonical(value))
}

function check(before: Json, patch: JsonPatch, after: Json): void {
  const operations = patch as unknown as Operation[]
  expect(canonical(applyStrict(before, operations))).toBe(canonical(after))
  // The official AG-UI client applies deltas with this library, validation on.
  const theirs = jsonpatch.applyPatch(clone(before), clone(operations) as jsonpatch.Operation[], true)
  expect(canonical(theirs.newDocument)).toBe(canonical(after))
}

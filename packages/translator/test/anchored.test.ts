import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { advance, JsonView, type JsonPatch, type Version } from '../src/index.ts'
import { canonical, type Json, type Operation } from './oracle/json.ts'
import { Model } from './oracle/model.ts'
import { applyNaively, build, forkDiffers, mergeFork, takesBack } from './oracle/naive.ts'
import { makeEdit, makePatch, type PatchShape } from './oracle/patches.ts'
import { project } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { applyStrict } from './oracle/strict-patch.ts'

const shape: PatchShape = {
  operationsMax: 3,
  operations: ['add', 'add', 'remove', 'replace'],
  containers: false,
  dash: true,
}

interface Agent {
  version: Version
  /** The edits that the agent has seen, for the model. */
  seen: Set<number>
}

interface Done {
  patches: number
  stale: number
  conflicts: number
  forks: number
}

describe('patches of agents that are behind, against people who edit now', () => {
  it.each([
    { items: 0, people: 'at the same document' },
    { items: 0, people: 'on a replica' },
    // Long arrays have an index; it must not change what a patch means.
    { items: 3_000, people: 'at the same document' },
  ])('the list model and the fork say the same: $people, $items elements', ({ items, people }) => {
    const done: Done = { patches: 0, stale: 0, conflicts: 0, forks: 0 }
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 2, max: items > 0 ? 30 : 60 }), (seed, steps) =>
        runAnchored(new Rng(seed), { items, replica: people === 'on a replica', steps, done }),
      ),
      { seed: 99, numRuns: runs(items > 0 ? 5 : 120) },
    )
    expect(done.stale).toBeGreaterThan(done.patches / 3)
    expect(done.conflicts).toBeGreaterThan(0)
    expect(done.forks).toBeGreaterThan(0)
  })
})

function runAnchored(
  rng: Rng,
  { items, replica, steps, done }: { items: number; replica: boolean; steps: number; done: Done },
): void {
  const doc = new Y.Doc({ gc: false })
  const model = new Model()
  const everything = (): Set<number> => new Set(model.now)
  const person = replica ? new Y.Doc({ gc: rng.chance(0.5) }) : doc
  doc.clientID = 1 + rng.int(1_000)
  if (replica) person.clientID = 1_001 + rng.int(1_000)
  const connect = (): void => {
    Y.applyUpdate(person, Y.encodeStateAsUpdate(doc, Y.encodeStateVector(person)))
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(person, Y.encodeStateVector(doc)))
  }
  if (items > 0) {
    const long = Array.from({ length: items }, (_, i): Json => (i % 50 === 0 ? { n: i } : i))
    doc.getMap('state').set('long', build(long))
    model.apply([{ op: 'add', path: '/long', value: long }], everything())
  }
  const view = new JsonView(doc)
  // What an agent saw without own edits of its own is a revision: those the fork can be made of.
  const states = new Map<Version, Uint8Array>()
  const agents: Agent[] = Array.from({ length: 3 }, () => ({ version: view.version, seen: everything() }))
  let last: { version: Version; state: Json } = { version: view.version, state: project(doc.getMap('state')) }

  for (let i = 0; i < steps; i++) {
    const dice = rng.next()
    if (dice < 0.35) {
      const patch = makeEdit(rng, model.json(), shape)
      model.apply(patch, everything())
      applyNaively(person, patch)
      if (replica) connect()
    } else if (dice < 0.55) {
      // An agent hears of everything.
      const agent = rng.pick(agents)
      agent.version = rng.chance(0.5) ? view.version : advance(agent.version, view.version)
      agent.seen = everything()
      states.set(agent.version, Y.encodeStateAsUpdate(doc))
    } else {
      const agent = rng.pick(agents)
      const sees = model.json(agent.seen)
      expect(canonical(view.read({ at: agent.version }))).toBe(canonical(sees))
      const patch = makePatch(rng, sees, shape)
      const then = states.get(agent.version)
      const now = Y.encodeStateAsUpdate(doc)
      if (agent.seen.size < model.now.size) done.stale += 1
      const conflicts = model.apply(patch, agent.seen)
      const result = view.apply(patch as unknown as JsonPatch, { at: agent.version })
      if (replica) connect()
      const after = canonical(project(doc.getMap('state')))
      expect(after).toBe(canonical(model.json()))
      expect(result.conflicts.map(({ index, skipped }) => ({ index, skipped }))).toEqual(conflicts)
      expect(result.applied).toBe(patch.length - conflicts.filter(({ skipped }) => skipped).length)
      if (then !== undefined && !forkDiffers(patch, conflicts)) {
        expect(canonical(project(mergeFork(then, now, patch).getMap('state')))).toBe(after)
        done.forks += 1
      }
      agent.version = result.version
      if (conflicts.length > 0 && takesBack(patch)) {
        // What an author still sees of something gone that it has replaced, and then removed, is nothing to rely on.
        agent.version = view.version
        agent.seen = everything()
      }
      done.patches += 1
      done.conflicts += conflicts.length
    }
    if (rng.chance(0.3)) {
      const state = project(doc.getMap('state'))
      const patch = view.diff(last.version) as unknown as Operation[]
      expect(canonical(applyStrict(last.state, patch))).toBe(canonical(state))
      last = { version: view.version, state }
    }
  }
  view.destroy()
  // Whoever loads the document sees the same.
  const fresh = new Y.Doc()
  Y.applyUpdate(fresh, Y.encodeStateAsUpdate(doc))
  expect(canonical(project(fresh.getMap('state')))).toBe(canonical(model.json()))
}

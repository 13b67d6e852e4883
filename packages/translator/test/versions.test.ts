import { IdSet } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import {
  advance,
  compareVersions,
  increments,
  JsonView,
  parseVersion,
  RevisionLog,
  Version,
  type JsonPatch,
} from '../src/index.ts'
import { editRandomly } from './oracle/generate.ts'
import { canonical, type Json, type Operation } from './oracle/json.ts'
import { makePatch } from './oracle/patches.ts'
import { project } from './oracle/project.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { expectRefused, open } from './oracle/scene.ts'
import { applyStrict } from './oracle/strict-patch.ts'

const ids = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.nat(1_000), fc.integer({ min: 1, max: 50 })), {
    maxLength: 20,
  })
  .map((ranges) => {
    const set = new IdSet()
    for (const [client, clock, length] of ranges)
      set.add(client % 5 === 0 ? client : client % 7, clock, length)
    return set
  })
const versions = fc
  .tuple(fc.oneof(fc.nat(5), fc.maxSafeNat()), ids, ids)
  .map(([revision, inserted, deleted]) => new Version(revision, { inserted, deleted }))

describe('versions as text', () => {
  it('say the same after a round trip', () => {
    fc.assert(
      fc.property(versions, (version) => {
        const text = version.toString()
        expect(text).toMatch(/^[\w~-]+$/)
        const again = parseVersion(text)
        expect(again.revision).toBe(version.revision)
        expect(again.toString()).toBe(text)
        expect([...again.own.inserted.entries()]).toEqual(
          [...version.own.inserted.entries()].toSorted(byClient),
        )
        expect([...again.own.deleted.entries()]).toEqual(
          [...version.own.deleted.entries()].toSorted(byClient),
        )
      }),
      { seed: 3, numRuns: runs(500) },
    )
  })

  it('have a total order', () => {
    fc.assert(
      fc.property(versions, versions, versions, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
        expect(compareVersions(a, a)).toBe(0)
        if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0)
          expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
        if (a.revision < b.revision) expect(compareVersions(a, b)).toBeLessThan(0)
      }),
      { seed: 4, numRuns: runs(500) },
    )
  })

  it('are refused when they are damaged, with a code of their own', () => {
    const damaged = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.tuple(versions, fc.nat(), fc.string({ minLength: 1, maxLength: 2 })).map(([version, at, extra]) => {
        const text = version.toString()
        const place = at % (text.length + 1)
        return text.slice(0, place) + extra + text.slice(place + 1)
      }),
    )
    fc.assert(
      fc.property(damaged, (text) => {
        try {
          // What is still well-formed may be accepted; it must then be the text of the version it is read as.
          parseVersion(text).toString()
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid-token' })
        }
      }),
      { seed: 5, numRuns: runs(2_000) },
    )
    for (const text of [
      '',
      '-1',
      '01',
      '1.5',
      '1e3',
      '9'.repeat(20),
      '5~',
      '5~!',
      '5~AA=',
      ' 5',
      '5 ',
      'NaN',
    ])
      expect(() => parseVersion(text)).toThrow(expect.objectContaining({ code: 'invalid-token' }))
  })

  it('are bounded', () => {
    const inserted = new IdSet()
    for (let i = 0; i < Version.ownRangesMax; i++) inserted.add(1, i * 2, 1)
    const most = new Version(1, { inserted, deleted: new IdSet() })
    expect(most.isPortable).toBe(true)
    expect(parseVersion(most.toString()).toString()).toBe(most.toString())
    const tooMany = new IdSet()
    tooMany.addAll(inserted)
    tooMany.add(2, 0, 1)
    const version = new Version(1, { inserted: tooMany, deleted: new IdSet() })
    expect(version.isPortable).toBe(false)
    expect(() => parseVersion(version.toString())).toThrow(expect.objectContaining({ code: 'invalid-token' }))
  })
})

function byClient(a: { client: number; clock: number }, b: { client: number; clock: number }): number {
  return a.client - b.client || a.clock - b.clock
}

interface Node {
  readonly doc: Y.Doc
  readonly view: JsonView
  readonly log: RevisionLog
}

/** A document that starts from a checkpoint and follows a log. */
function openNode(checkpoint: Uint8Array, revision: number, entries: readonly Uint8Array[]): Node {
  const doc = new Y.Doc({ gc: false })
  if (checkpoint.length > 0) Y.applyUpdate(doc, checkpoint)
  const log = RevisionLog.startingAt(revision, doc)
  const view = new JsonView(doc, { log })
  const node = { doc, view, log }
  for (const entry of entries) commit(node, entry)
  return node
}

function commit({ doc, log }: Node, entry: Uint8Array): void {
  // The room does the same: what follows from merging (a lost write of a key) stands in no update.
  const deletes = new IdSet()
  const collect = (transaction: Y.Transaction): void => {
    for (const [client, ranges] of transaction.deleteSet.clients)
      for (const { clock, len } of ranges) deletes.add(client, clock, len)
  }
  doc.on('afterTransaction', collect)
  Y.applyUpdate(doc, entry)
  doc.off('afterTransaction', collect)
  const { clocks, deletes: explicit } = increments(entry)
  deletes.addAll(explicit)
  log.record(log.revision + 1, clocks, deletes)
}

describe('versions over a log', () => {
  it('mean the same on every node and after every restart', () => {
    const done = { versions: 0, patches: 0 }
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), fc.integer({ min: 2, max: 40 }), (seed, count) => {
        runLog(new Rng(seed), count, done)
      }),
      { seed: 11, numRuns: runs(60) },
    )
    expect(done.versions).toBeGreaterThan(500)
    expect(done.patches).toBeGreaterThan(50)
  })
})

function runLog(rng: Rng, count: number, done: { versions: number; patches: number }): void {
  const people = [new Y.Doc(), new Y.Doc(), new Y.Doc()]
  for (const [i, person] of people.entries()) person.clientID = 10 + rng.int(1_000) * 3 + i
  const node = openNode(new Uint8Array(), 0, [])
  node.doc.clientID = 1
  const entries: Uint8Array[] = []
  const checkpoints = [new Uint8Array()]
  const states: Json[] = [{}]
  while (entries.length < count) {
    const person = rng.pick(people)
    let update = new Uint8Array() as Uint8Array
    const capture = (bytes: Uint8Array): void => {
      update = update.length === 0 ? bytes : Y.mergeUpdates([update, bytes])
    }
    person.on('update', capture)
    editRandomly(rng, person, { exotic: true })
    if (rng.chance(0.4)) editRandomly(rng, person, {})
    person.off('update', capture)
    if (update.length > 0) {
      entries.push(update)
      commit(node, update)
      checkpoints.push(Y.encodeStateAsUpdate(node.doc) as Uint8Array<ArrayBuffer>)
      states.push(projectAll(node.doc))
    }
    // Mostly people see everything; now and then one of them stays offline for a while.
    for (const other of people)
      if (rng.chance(0.7)) Y.applyUpdate(other, Y.encodeStateAsUpdate(node.doc, Y.encodeStateVector(other)))
  }
  const restartedAt = rng.int(count)
  const restarted = openNode(checkpoints[restartedAt]!, restartedAt, entries.slice(restartedAt))
  restarted.doc.clientID = 2
  const now = states.at(-1)!
  expect(canonical(restarted.view.read())).toBe(canonical(now))
  for (let revision = 0; revision <= count; revision++) {
    const version = parseVersion(String(revision))
    if (revision < restartedAt) {
      expect(() => restarted.view.diff(version)).toThrow(
        expect.objectContaining({ code: 'revision-expired' }),
      )
      continue
    }
    for (const { view } of [node, restarted]) {
      expect(canonical(view.read({ at: version }))).toBe(canonical(states[revision]))
      const patch = view.diff(version) as unknown as Operation[]
      expect(canonical(applyStrict(states[revision]!, patch))).toBe(canonical(now))
    }
    expect(restarted.view.diff(version)).toEqual(node.view.diff(version))
    done.versions += 1
  }
  const ahead = parseVersion(String(count + 1))
  expectRefused(node.doc, () => node.view.diff(ahead), 'invalid-request')
  expectRefused(node.doc, () => node.view.apply([], { at: ahead }), 'invalid-request')

  // One agent edits on the first node, another one goes on from its version on the restarted node.
  const revision = restartedAt + rng.int(count - restartedAt + 1)
  const shape = {
    operationsMax: 3,
    operations: ['add', 'remove', 'replace'],
    containers: false,
    dash: true,
  } as const
  const first = makePatch(rng, states[revision]!, shape)
  let update = new Uint8Array() as Uint8Array
  node.doc.on('update', (bytes: Uint8Array) => {
    update = bytes
  })
  const { version } = node.view.apply(first as unknown as JsonPatch, { at: parseVersion(String(revision)) })
  if (update.length === 0) return
  node.log.record(count + 1, increments(update).clocks, increments(update).deletes)
  commit(restarted, update)
  const token = version.toString()
  const sees = node.view.read({ at: version })
  expect(canonical(restarted.view.read({ at: parseVersion(token) }))).toBe(canonical(sees))
  const second = makePatch(rng, sees as Json, shape)
  const results = [node, restarted].map(({ view }) =>
    view.apply(second as unknown as JsonPatch, { at: parseVersion(token) }),
  )
  expect(results[0]!.conflicts).toEqual(results[1]!.conflicts)
  expect(canonical(projectAll(node.doc))).toBe(canonical(projectAll(restarted.doc)))
  done.patches += 1
}

function projectAll(doc: Y.Doc): Json {
  return project(doc.getMap('state'))
}

describe('advance', () => {
  it('adds what others did to what the author did', () => {
    const scene = open({ l: ['a'] })
    const start = scene.view.version
    const own = scene.apply([{ op: 'add', path: '/l/1', value: 'mine' }], { at: start }).version
    scene.array('l').insert(0, ['theirs'])
    const until = scene.view.version
    scene.array('l').insert(0, ['later'])
    expect(scene.view.read({ at: own })).toEqual({ l: ['a', 'mine'] })
    expect(scene.view.read({ at: advance(own, until) })).toEqual({ l: ['theirs', 'a', 'mine'] })
    expect(scene.view.read({ at: advance(own, start) })).toEqual({ l: ['a', 'mine'] })
    expect(scene.view.read({ at: advance(own, scene.view.version) })).toEqual(scene.json)
  })

  it('keeps versions short when an author edits and listens for long', () => {
    const scene = open({ l: [] })
    let version = scene.view.version
    for (let i = 0; i < 2_000; i++) {
      version = scene.apply([{ op: 'add', path: '/l/-', value: i }], { at: version }).version
      scene.array('l').insert(0, [-i])
      if (i % 3 === 0) version = advance(version, scene.view.version)
    }
    expect(version.isPortable).toBe(true)
    expect(version.toString().length).toBeLessThan(200)
  })
})

import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { advance, increments, JsonView, parseVersion, RevisionLog, type JsonPatch } from '../../src/index.ts'
import type { Operation } from '../oracle/json.ts'
import { expectRefused, fill, open, pull, replicate } from '../oracle/scene.ts'

describe('in: patches against an older version', () => {
  it('78 others moved the index', () => {
    const scene = open({ l: [{ n: 'a' }, { n: 'b' }, { n: 'c' }] })
    const patch: Operation[] = [
      { op: 'replace', path: '/l/1/n', value: 'B' },
      { op: 'remove', path: '/l/2' },
    ]
    const { conflicts } = scene.stale(patch, () => scene.array('l').insert(0, [new Y.Map([['n', 'x']]), 'y']))
    expect(conflicts).toEqual([])
    expect(scene.json).toEqual({ l: [{ n: 'x' }, 'y', { n: 'a' }, { n: 'B' }] })
    scene.flush()
  })

  it('79 the element is gone', () => {
    const scene = open({ l: [{ n: 'a' }, { n: 'b' }] })
    const patch: Operation[] = [
      { op: 'replace', path: '/l/0/n', value: 'A' },
      { op: 'replace', path: '/l/1/n', value: 'B' },
    ]
    const { conflicts, applied } = scene.stale(patch, () => scene.array('l').delete(0))
    expect(conflicts).toEqual([
      { index: 0, op: 'replace', path: '/l/0/n', reason: 'target-deleted', skipped: true },
    ])
    expect(applied).toBe(1)
    expect(scene.json).toEqual({ l: [{ n: 'B' }] })
    expectRefused(
      scene.doc,
      () => scene.apply([{ op: 'remove', path: '/l/5' }], { policy: 'strict' }),
      'invalid-patch',
    )
  })

  it('79 the element is gone, and the policy is strict', () => {
    const scene = open({ l: [{ n: 'a' }, { n: 'b' }] })
    const at = scene.view.version
    scene.array('l').delete(0)
    const patch: Operation[] = [
      { op: 'replace', path: '/l/1/n', value: 'B' },
      { op: 'replace', path: '/l/0/n', value: 'A' },
    ]
    expectRefused(scene.doc, () => scene.apply(patch, { at, policy: 'strict' }), 'conflict')
    expect(scene.apply(patch.slice(0, 1), { at, policy: 'strict' }).conflicts).toEqual([])
  })

  it('80 the parent is gone, and collected', () => {
    const scene = open({ l: [{ deep: { list: [1] } }, 2] }, { retain: { versions: 10 } })
    const at = scene.view.version
    scene.array('l').delete(0)
    const { conflicts } = scene.apply([{ op: 'add', path: '/l/0/deep/list/-', value: 2 }], { at })
    expect(conflicts.map(({ reason }) => reason)).toEqual(['target-deleted'])
    expect(scene.json).toEqual({ l: [2] })
  })

  it('81 others set the key', () => {
    const scene = open({ a: 1 })
    const patch: Operation[] = [{ op: 'replace', path: '/a', value: 'mine' }]
    const { conflicts } = scene.stale(patch, () => scene.state.set('a', 'theirs'))
    expect(conflicts.map(({ reason }) => reason)).toEqual(['key-set-concurrently'])
    // The last one to arrive wins, and is told so.
    expect(scene.json).toEqual({ a: 'mine' })
    const removal = scene.stale([{ op: 'remove', path: '/a' }], () => scene.state.set('a', 'again'))
    expect(removal.conflicts).toHaveLength(1)
    expect(scene.json).toEqual({ a: 'again' })
  })

  it('82 others deleted the key', () => {
    const scene = open({ a: 1, b: 1, c: { x: 1 } })
    const patch: Operation[] = [
      { op: 'replace', path: '/a', value: 'mine' },
      { op: 'remove', path: '/b' },
      { op: 'add', path: '/c/y', value: 1 },
    ]
    const { conflicts } = scene.stale(patch, () => {
      for (const key of ['a', 'b', 'c']) scene.state.delete(key)
    })
    expect(conflicts.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(Object.keys(scene.json as object)).not.toContain('b')
    expect(Object.keys(scene.json as object)).not.toContain('c')
  })

  it('83 others deleted the key and set it again, with another type', () => {
    const scene = open({ a: { x: 1 } })
    const patch: Operation[] = [{ op: 'add', path: '/a/y', value: 1 }]
    const { conflicts } = scene.stale(patch, () => {
      scene.state.delete('a')
      scene.state.set('a', Y.Array.from(['theirs']))
    })
    expect(conflicts).toHaveLength(1)
    expect(scene.json).toEqual({ a: ['theirs'] })
  })

  it('84 two stale inserts at one place stand in the order of arrival', () => {
    const scene = open({ l: ['a', 'z'] })
    const at = scene.view.version
    scene.apply([{ op: 'add', path: '/l/1', value: 'first' }], { at })
    scene.apply([{ op: 'add', path: '/l/1', value: 'second' }], { at })
    scene.apply([{ op: 'add', path: '/l/1', value: 'third' }], { at })
    expect(scene.json).toEqual({ l: ['a', 'first', 'second', 'third', 'z'] })
  })

  it('85 insert between neighbours that are both gone', () => {
    const scene = open({ l: ['a', 'b', 'c', 'd'] })
    const { conflicts } = scene.stale([{ op: 'add', path: '/l/2', value: 'x' }], () => {
      scene.array('l').delete(1, 2)
      scene.array('l').insert(1, ['new'])
    })
    expect(conflicts).toEqual([])
    expect((scene.json as { l: string[] }).l.toSorted()).toEqual(['a', 'd', 'new', 'x'])
    expect((scene.json as { l: string[] }).l.at(0)).toBe('a')
    expect((scene.json as { l: string[] }).l.at(-1)).toBe('d')
  })

  it('86 insert at 0, at the length, at `-`', () => {
    const scene = open({ l: ['a'] })
    const meanwhile = (): void => {
      scene.array('l').insert(0, ['head'])
      scene.array('l').push(['tail'])
    }
    scene.stale([{ op: 'add', path: '/l/0', value: 0 }], meanwhile)
    expect(scene.json).toEqual({ l: ['head', 0, 'a', 'tail'] })
    scene.stale([{ op: 'add', path: '/l/4', value: 'len' }], () => scene.array('l').push(['t2']))
    expect(scene.json).toEqual({ l: ['head', 0, 'a', 'tail', 't2', 'len'] })
    scene.stale([{ op: 'add', path: '/l/-', value: 'live end' }], () => scene.array('l').push(['t3']))
    expect(scene.json).toEqual({ l: ['head', 0, 'a', 'tail', 't2', 'len', 't3', 'live end'] })
  })

  it('87 an operation uses an element that an earlier one inserted', () => {
    const scene = open({ l: ['a', 'b'] })
    const patch: Operation[] = [
      { op: 'add', path: '/l/1', value: { x: 1 } },
      { op: 'replace', path: '/l/1/x', value: 2 },
      { op: 'add', path: '/l/2', value: 'after' },
      { op: 'add', path: '/l/1', value: 'before' },
    ]
    scene.stale(patch, () => scene.array('l').insert(0, ['head']))
    expect(scene.json).toEqual({ l: ['head', 'a', 'before', { x: 2 }, 'after', 'b'] })
  })

  it('88 an own insert is deleted', () => {
    const scene = open({ l: ['a', 'b'] })
    const at = scene.view.version
    scene.array('l').insert(1, ['theirs'])
    const first = scene.apply([{ op: 'add', path: '/l/1', value: 'mine' }], { at })
    const second = scene.apply([{ op: 'remove', path: '/l/1' }], { at: first.version })
    expect(second.conflicts).toEqual([])
    expect(scene.json).toEqual({ l: ['a', 'theirs', 'b'] })
    const patch: Operation[] = [
      { op: 'add', path: '/l/1', value: 'x' },
      { op: 'remove', path: '/l/1' },
    ]
    scene.apply(patch, { at: second.version })
    expect(scene.json).toEqual({ l: ['a', 'theirs', 'b'] })
  })

  it('89 an operation depends on one that was skipped', () => {
    const scene = open({ m: { inner: {} }, a: 1 })
    const patch: Operation[] = [
      { op: 'add', path: '/m/inner/list', value: [] },
      { op: 'add', path: '/m/inner/list/0', value: 1 },
      { op: 'replace', path: '/a', value: 2 },
    ]
    const { conflicts, applied } = scene.stale(patch, () => scene.state.delete('m'))
    expect(conflicts.map(({ index }) => index)).toEqual([0, 1])
    expect(applied).toBe(1)
    expect(scene.json).toEqual({ a: 2 })
  })

  it('90 a stale replace of a text keeps what others typed', () => {
    const scene = open({ t: new Y.Text('hello world') })
    const patch: Operation[] = [{ op: 'replace', path: '/t', value: 'hello brave world' }]
    scene.stale(patch, () => scene.text('t').insert(0, 'HUMAN '))
    expect(scene.json).toEqual({ t: 'HUMAN hello brave world' })
    scene.stale([{ op: 'replace', path: '/t', value: 'HUMAN world' }], () => scene.text('t').insert(9, '🙂'))
    expect(scene.json).toEqual({ t: 'HUMAN 🙂world' })
  })

  it('91 a stale replace of an array or an object keeps what others inserted', () => {
    const item = (id: string, n = 0): { id: string; n: number } => ({ id, n })
    const scene = open({ l: ['a', 'b', 'c'].map((id) => item(id)), o: { x: 1, y: 1 } })
    const patch: Operation[] = [
      { op: 'replace', path: '/l', value: [item('a', 1), item('agent'), item('c')] },
      { op: 'replace', path: '/o', value: { x: 2, z: 1 } },
    ]
    scene.stale(patch, () => {
      scene.array('l').insert(1, [
        new Y.Map<unknown>([
          ['id', 'human'],
          ['n', 0],
        ]),
      ])
      ;(scene.array('l').get(3) as Y.Map<unknown>).set('n', 7)
      scene.map('o').set('human', 1)
    })
    expect(scene.json).toEqual({
      l: [item('a', 1), item('human'), item('agent'), item('c', 7)],
      o: { x: 2, z: 1, human: 1 },
    })
    // The same through the root.
    const before = scene.json as { l: { id: string; n: number }[]; o: object }
    const next = { ...before, l: before.l.filter(({ id }) => id !== 'human'), o: { x: 2 } }
    scene.stale([{ op: 'replace', path: '', value: next }], () => {
      scene.array('l').push([new Y.Map<unknown>([['id', 'late']])])
      scene.state.set('late', true)
    })
    expect(scene.json).toEqual({
      l: [item('a', 1), item('agent'), item('c', 7), { id: 'late' }],
      o: { x: 2 },
      late: true,
    })
  })

  it('92 test holds at the version, and in strict also now', () => {
    const scene = open({ a: 1, l: [] })
    const at = scene.view.version
    scene.state.set('a', 2)
    const holds: Operation[] = [
      { op: 'test', path: '/a', value: 1 },
      { op: 'add', path: '/l/-', value: 'x' },
    ]
    const wrong: Operation[] = [{ op: 'test', path: '/a', value: 2 }]
    expectRefused(scene.doc, () => scene.apply(wrong, { at }), 'test-failed')
    expectRefused(scene.doc, () => scene.apply(wrong, { at, policy: 'strict' }), 'test-failed')
    expect(() => scene.apply(holds, { at, policy: 'strict' })).toThrow()
    expect(scene.json).toEqual({ a: 2, l: [] })
    scene.apply(holds, { at })
    expect(scene.json).toEqual({ a: 2, l: ['x'] })
  })

  it('93 a subtree is moved that others edit', () => {
    const scene = open({ l: [{ n: 1 }, 'b', 'c'], m: {} })
    scene.stale([{ op: 'move', from: '/l/0', path: '/m/moved' }], () =>
      (scene.array('l').get(0) as Y.Map<unknown>).set('n', 'edited'),
    )
    // What was edited before the move arrived moves along.
    expect(scene.json).toEqual({ l: ['b', 'c'], m: { moved: { n: 'edited' } } })
    const { conflicts } = scene.stale([{ op: 'move', from: '/l/0', path: '/m/b' }], () =>
      scene.array('l').delete(0),
    )
    expect(conflicts).toHaveLength(1)
    expect(scene.json).toEqual({ l: ['c'], m: { moved: { n: 'edited' } } })
  })

  it('94 a stale copy', () => {
    const scene = open({ l: [{ n: 1 }], a: null })
    scene.stale([{ op: 'copy', from: '/l/0', path: '/copy' }], () => scene.array('l').insert(0, ['head']))
    expect(scene.json).toMatchObject({ copy: { n: 1 } })
    const { conflicts } = scene.stale([{ op: 'copy', from: '/l/1', path: '/copy2' }], () =>
      scene.array('l').delete(1),
    )
    // The source is gone: either its content at the version, or a conflict; never something else.
    if (conflicts.length === 0) expect(scene.json).toMatchObject({ copy2: { n: 1 } })
    else expect(scene.json).not.toHaveProperty('copy2')
  })

  it('95 the deletion of the target is undone', () => {
    const scene = open({ l: [{ n: 1 }, 'b'] })
    const undo = new Y.UndoManager(scene.state, { captureTimeout: 0 })
    const { conflicts } = scene.stale([{ op: 'replace', path: '/l/0/n', value: 2 }], () => {
      scene.array('l').delete(0)
      undo.undo()
    })
    // Undo makes new items; within one process they may be followed, otherwise it is a conflict.
    if (conflicts.length === 0) expect(scene.json).toEqual({ l: [{ n: 2 }, 'b'] })
    else expect(scene.json).toEqual({ l: [{ n: 1 }, 'b'] })
  })

  it('96 after a restart: the log is rebuilt, and a version from before means the same', () => {
    const before = new Y.Doc({ gc: false })
    fill(before.getMap('state'), { l: ['a', { n: 1 }, 'c'] })
    const checkpoint = Y.encodeStateAsUpdate(before)
    const entries: Uint8Array[] = []
    before.on('update', (update: Uint8Array) => entries.push(update))
    const list = before.getMap('state').get('l') as Y.Array<unknown>
    list.insert(0, ['new'])
    list.delete(1)
    // Another process: a checkpoint, the entries above it, and a token that an agent has kept.
    const doc = new Y.Doc({ gc: false })
    Y.applyUpdate(doc, checkpoint)
    const log = RevisionLog.startingAt(7, doc)
    const view = new JsonView(doc, { log })
    for (const [i, entry] of entries.entries()) {
      Y.applyUpdate(doc, entry)
      const { clocks, deletes } = increments(entry)
      log.record(8 + i, clocks, deletes)
    }
    const at = parseVersion('7')
    expect(view.read({ at })).toEqual({ l: ['a', { n: 1 }, 'c'] })
    expect(view.diff(at)).toHaveLength(1)
    const patch: JsonPatch = [
      { op: 'add', path: '/l/1/n', value: 2 },
      { op: 'remove', path: '/l/0' },
    ]
    const { conflicts } = view.apply(patch, { at })
    expect(conflicts).toMatchObject([{ index: 1, reason: 'already-deleted' }])
    expect(view.read()).toEqual({ l: ['new', { n: 2 }, 'c'] })
    expect(() => view.diff(parseVersion('6'))).toThrow(expect.objectContaining({ code: 'revision-expired' }))
  })

  it('97 content of a retained version is there, of an expired one it is collected', () => {
    const scene = open({ secret: 'x'.repeat(10_000), l: [1] }, { retain: { versions: 5 } })
    const at = scene.view.version
    const state = scene.json
    scene.state.delete('secret')
    expect(scene.view.read({ at })).toEqual(state)
    expect(Y.encodeStateAsUpdate(scene.doc).length).toBeGreaterThan(10_000)
    for (let i = 0; i < 20; i++) scene.array('l').push([i])
    expect(() => scene.view.read({ at })).toThrow(expect.objectContaining({ code: 'revision-expired' }))
    expect(Y.encodeStateAsUpdate(scene.doc).length).toBeLessThan(1_000)
  })

  it('98 tombstones of different versions that merged', () => {
    const scene = open({ l: [0, 1, 2, 3, 4, 5] }, { retain: { versions: 4 } })
    const retained = []
    for (const index of [2, 2, 1, 1, 0, 0]) {
      scene.array('l').delete(index)
      retained.push({ version: scene.view.version, state: scene.json })
      for (const { version, state } of retained.slice(-4))
        expect(scene.view.read({ at: version })).toEqual(state)
    }
  })

  it('99 the order equals that of a fork: see anchored.test.ts', () => {
    // A case by hand: the fork's insert comes after what others inserted behind the same neighbour.
    const scene = open({ l: ['a', 'b'] })
    const fork = replicate(scene.doc)
    scene.doc.clientID = 1
    fork.clientID = 2
    const at = scene.view.version
    scene.array('l').insert(1, ['human'])
    const merged = replicate(scene.doc)
    ;(fork.getMap('state').get('l') as Y.Array<unknown>).insert(1, ['agent'])
    pull(merged, fork)
    scene.apply([{ op: 'add', path: '/l/1', value: 'agent' }], { at })
    expect(scene.json).toEqual(merged.getMap('state').toJSON())
  })

  it('100 every patch is written under the client id of the document', () => {
    const scene = open({ l: [] })
    const start = scene.view.version
    let first = start
    let second = start
    for (let i = 0; i < 20; i++) {
      first = scene.apply([{ op: 'add', path: `/l/${i}`, value: `f${i}` }], { at: first }).version
      second = scene.apply([{ op: 'add', path: `/l/${i}`, value: `s${i}` }], { at: second }).version
    }
    expect([...scene.doc.store.clients.keys()]).toEqual([scene.doc.clientID])
    expect((scene.json as { l: string[] }).l).toHaveLength(40)
    const merged = advance(first, scene.view.version)
    expect(scene.view.read({ at: merged })).toEqual(scene.json)
    scene.apply([{ op: 'remove', path: '/l/0' }], { at: merged })
    expect((scene.json as { l: string[] }).l).toHaveLength(39)
  })
})

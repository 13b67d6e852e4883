import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonView } from '../../src/index.ts'
import { canonical } from '../oracle/json.ts'
import { expectRefused, fill, open, pull, replicate, Scene, asOperations } from '../oracle/scene.ts'
import { project } from '../oracle/project.ts'
import { applyStrict } from '../oracle/strict-patch.ts'

describe('out: transactions', () => {
  it('45 undo, redo, and undo of a deleted subtree', () => {
    const scene = open({ l: [{ x: { y: [1, 2] } }] })
    const undo = new Y.UndoManager(scene.state, { captureTimeout: 0 })
    const before = scene.json
    scene.array('l').delete(0)
    scene.flush()
    expect(scene.json).toEqual({ l: [] })
    undo.undo()
    scene.flush()
    expect(scene.json).toEqual(before)
    undo.redo()
    scene.flush()
    expect(scene.json).toEqual({ l: [] })
    undo.undo()
    scene.flush()
    expect(scene.json).toEqual(before)
  })

  it('46 one update of many clients', () => {
    const scene = open({ l: [] })
    const gathering = replicate(scene.doc)
    for (let i = 0; i < 200; i++) {
      const other = replicate(gathering)
      ;(other.getMap('state').get('l') as Y.Array<unknown>).insert(0, [i])
      other.getMap('state').set(`k${i % 7}`, i)
      pull(gathering, other)
    }
    pull(scene.doc, gathering)
    scene.flush()
    expect(scene.json).toEqual(project(gathering.getMap('state')))
  })

  it('47 an update waits for what it depends on', () => {
    const scene = open({ l: [1] })
    const other = replicate(scene.doc)
    const vector = Y.encodeStateVector(other)
    ;(other.getMap('state').get('l') as Y.Array<unknown>).push([2])
    const first = Y.encodeStateAsUpdate(other, vector)
    const between = Y.encodeStateVector(other)
    ;(other.getMap('state').get('l') as Y.Array<unknown>).push([3])
    Y.applyUpdate(scene.doc, Y.encodeStateAsUpdate(other, between))
    expect(scene.flush()).toEqual([])
    Y.applyUpdate(scene.doc, first)
    expect(scene.flush()).toHaveLength(2)
    expect(scene.json).toEqual({ l: [1, 2, 3] })
  })

  it('48 an observer writes', () => {
    const scene = open({ a: 1 })
    scene.state.observe((event) => {
      if (event.keysChanged.has('a')) scene.state.set('count', Number(scene.state.get('count') ?? 0) + 1)
    })
    scene.state.set('a', 2)
    expect(scene.flush()).toHaveLength(2)
    expect(scene.json).toEqual({ a: 2, count: 1 })
  })

  it('49 a throw inside a transaction keeps what was done before', () => {
    const scene = open({ a: 1 })
    expect(() =>
      scene.doc.transact(() => {
        scene.state.set('a', 2)
        throw new Error('half-way')
      }),
    ).toThrow('half-way')
    expect(scene.flush()).toEqual([{ op: 'add', path: '/a', value: 2 }])
  })

  it('50 an empty transaction', () => {
    const scene = open({ a: 1 })
    const before = scene.view.version
    scene.doc.transact(() => {})
    expect(scene.flush()).toEqual([])
    expect(scene.view.diff(before)).toEqual([])
  })

  it('51 a flush inside a transaction is refused', () => {
    const scene = open({ a: 1 })
    const before = scene.view.version
    scene.doc.transact(() => {
      scene.state.set('a', 2)
      expect(() => scene.view.diff(before)).toThrow()
      expect(() => scene.apply([{ op: 'add', path: '/b', value: 1 }])).toThrow()
    })
    expect(scene.flush()).toHaveLength(1)
  })

  it('52 two documents loaded from storage', () => {
    const source = open({ l: [1, 2, 3, { x: 1 }], gone: { deep: [1] } })
    source.array('l').delete(1, 1)
    source.state.delete('gone')
    const bytes = Y.encodeStateAsUpdate(source.doc)
    for (const gc of [true, false]) {
      const doc = new Y.Doc({ gc })
      Y.applyUpdate(doc, bytes)
      const scene = new Scene(doc)
      expect(scene.json).toEqual({ l: [1, 3, { x: 1 }] })
      scene.array('l').insert(1, ['x'])
      ;(scene.array('l').get(3) as Y.Map<unknown>).set('x', 2)
      expect(scene.flush()).toEqual([
        { op: 'add', path: '/l/1', value: 'x' },
        { op: 'add', path: '/l/3/x', value: 2 },
      ])
      scene.apply([{ op: 'remove', path: '/l/2' }])
      expect(scene.json).toEqual({ l: [1, 'x', { x: 2 }] })
    }
  })

  it('53 a subdocument comes and goes', () => {
    const scene = open()
    scene.state.set('sub', new Y.Doc({ guid: 'one' }))
    expect(scene.flush()).toEqual([{ op: 'add', path: '/sub', value: { $subdoc: 'one' } }])
    scene.state.delete('sub')
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/sub' }])
  })

  it('54 bytes, NaN, -0, Infinity, undefined, big integers', () => {
    const scene = open({ l: [] })
    scene.state.set('bytes', new Uint8Array([1, 2, 255]))
    scene.state.set('nan', Number.NaN)
    scene.state.set('zero', -0)
    scene.state.set('infinity', -Infinity)
    scene.state.set('nothing', undefined)
    scene.state.set('big', 12345678901234567890n)
    scene.array('l').push([Number.NaN, -0, new Uint8Array()])
    scene.flush()
    expect(JSON.parse(JSON.stringify(scene.json))).toEqual(scene.json)
    expect(scene.json).toEqual({
      l: [null, 0, { $bytes: '' }],
      bytes: { $bytes: 'AQL/' },
      nan: null,
      zero: 0,
      infinity: null,
      nothing: null,
      big: '12345678901234567890',
    })
    scene.state.delete('nothing')
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/nothing' }])
  })

  it('55 a lone surrogate', () => {
    const scene = open({ t: new Y.Text('a'), k: '' })
    const lone = 'x\ud800y'
    // Either refused or made well-formed: never kept, because replicas would differ.
    for (const path of ['/t', '/k', '/new']) {
      try {
        scene.apply([{ op: 'add', path, value: lone }])
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid-value' })
      }
    }
    const other = replicate(scene.doc)
    expect(canonical(project(other.getMap('state')))).toBe(canonical(scene.json))
    expect(JSON.stringify(scene.json)).not.toContain('\\ud800')
  })

  it('56 a view on a document that is not empty', () => {
    const doc = new Y.Doc()
    fill(doc.getMap('state'), { a: [1, { b: 2 }] })
    const scene = new Scene(doc)
    expect(scene.json).toEqual({ a: [1, { b: 2 }] })
    ;(scene.array('a').get(1) as Y.Map<unknown>).set('b', 3)
    expect(scene.flush()).toEqual([{ op: 'add', path: '/a/1/b', value: 3 }])
  })

  it('57 the difference to now from every retained version', () => {
    const scene = open({ l: [0], m: {} })
    const retained = [{ version: scene.view.version, state: scene.json }]
    for (let i = 0; i < 100; i++) {
      if (i % 3 === 0) scene.array('l').insert(i % 2, [i])
      else if (i % 5 === 0) scene.array('l').delete(0)
      else scene.map('m').set(`k${i % 4}`, i)
      retained.push({ version: scene.view.version, state: scene.json })
    }
    for (const { version, state } of retained) {
      const patch = asOperations(scene.view.diff(version))
      expect(canonical(applyStrict(state, patch))).toBe(canonical(scene.json))
      expect(scene.view.read({ at: version })).toEqual(state)
    }
  })

  it('58 the difference to now from now', () => {
    const scene = open({ a: 1 })
    expect(scene.view.diff(scene.view.version)).toEqual([])
  })

  it('59 an expired version is refused', () => {
    const scene = open({ a: 0 }, { retain: { versions: 5 } })
    const old = scene.view.version
    for (let i = 1; i <= 20; i++) scene.state.set('a', i)
    const recent = scene.view.version
    for (let i = 21; i <= 23; i++) scene.state.set('a', i)
    const expired = expect.objectContaining({ code: 'revision-expired' })
    expect(() => scene.view.diff(old)).toThrow(expired)
    expect(() => scene.view.read({ at: old })).toThrow(expired)
    expectRefused(
      scene.doc,
      () => scene.apply([{ op: 'add', path: '/b', value: 1 }], { at: old }),
      'revision-expired',
    )
    expect(scene.view.diff(recent)).toEqual([{ op: 'add', path: '/a', value: 23 }])
  })

  it('60 two subscribers at different baselines', () => {
    const scene = open({ l: [] })
    const fast = { version: scene.view.version, state: scene.json }
    const slow = { version: scene.view.version, state: scene.json }
    const follow = (reader: typeof fast): void => {
      reader.state = applyStrict(reader.state, asOperations(scene.view.diff(reader.version)))
      reader.version = scene.view.version
      expect(canonical(reader.state)).toBe(canonical(scene.json))
    }
    for (let i = 0; i < 50; i++) {
      scene.array('l').insert(i >> 1, [i])
      if (i % 4 === 0) scene.array('l').delete(0)
      follow(fast)
      if (i % 7 === 0) follow(slow)
    }
    follow(slow)
    const view = new JsonView(scene.doc)
    expect(view.read()).toEqual(scene.json)
    view.destroy()
  })
})

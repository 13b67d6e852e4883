import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import type { Operation } from '../oracle/json.ts'
import { expectRefused, open, pull, replicate } from '../oracle/scene.ts'

// Members are written with `add`, which is an upsert: it cannot fail on a baseline that has the parent.
const put = (path: string, value: unknown): Operation => ({
  op: 'add',
  path,
  value: value as Operation['value'] as never,
})

describe('out: maps', () => {
  it('1 set a new key', () => {
    const scene = open()
    scene.state.set('a', 1)
    expect(scene.flush()).toEqual([put('/a', 1)])
  })

  it('2 overwrite a scalar', () => {
    const scene = open({ a: 1 })
    scene.state.set('a', 2)
    expect(scene.flush()).toEqual([put('/a', 2)])
  })

  it('3 overwrite by the same scalar', () => {
    const scene = open({ a: 1 })
    scene.state.set('a', 1)
    // Yjs makes a new item; for a reader nothing changed, and at most a repetition may be sent.
    const patch = scene.flush()
    expect(patch.length).toBeLessThanOrEqual(1)
    expect(scene.json).toEqual({ a: 1 })
  })

  it('4 delete', () => {
    const scene = open({ a: 1, b: 2 })
    scene.state.delete('a')
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/a' }])
  })

  it('5 set and delete in one transaction', () => {
    const scene = open()
    scene.doc.transact(() => {
      scene.state.set('a', 1)
      scene.state.delete('a')
    })
    expect(scene.flush()).toEqual([])
  })

  it('6 delete and set', () => {
    const scene = open({ a: 1 })
    scene.doc.transact(() => {
      scene.state.delete('a')
      scene.state.set('a', 2)
    })
    expect(scene.flush()).toEqual([put('/a', 2)])
  })

  it('7 a scalar becomes a nested type', () => {
    const scene = open({ a: 1 })
    scene.state.set('a', new Y.Map([['x', 1]]))
    expect(scene.flush()).toEqual([put('/a', { x: 1 })])
  })

  it('8 a nested type becomes a scalar', () => {
    const scene = open({ a: { x: [1] } })
    scene.state.set('a', 5)
    expect(scene.flush()).toEqual([put('/a', 5)])
  })

  it('9 a nested type becomes another one', () => {
    const scene = open({ a: { x: 1 } })
    scene.state.set('a', Y.Array.from([1, 2]))
    expect(scene.flush()).toEqual([put('/a', [1, 2])])
  })

  it('10 a change inside a type that the same transaction made', () => {
    const scene = open()
    scene.doc.transact(() => {
      scene.state.set('a', new Y.Map())
      scene.map('a').set('x', 1)
      scene.map('a').set('y', 2)
    })
    expect(scene.flush()).toEqual([put('/a', { x: 1, y: 2 })])
  })

  it('11 a change inside a type that the same transaction deletes', () => {
    const scene = open({ a: { x: 1 } })
    scene.doc.transact(() => {
      scene.map('a').set('x', 2)
      scene.state.delete('a')
    })
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/a' }])
  })

  it('12 the same across two transactions of one flush', () => {
    const scene = open({ a: { x: 1 } })
    scene.map('a').set('x', 2)
    scene.state.delete('a')
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/a' }])
    scene.state.set('b', new Y.Map())
    scene.map('b').set('x', 1)
    expect(scene.flush()).toEqual([put('/b', { x: 1 })])
  })

  it.each([
    '',
    '/',
    '~',
    '~1',
    '~0',
    'a/b~c',
    '0',
    '-',
    'ключ',
    '日本',
    '👩‍🚀',
    'constructor',
    'toString',
    'length',
  ])('13 the key %j', (key) => {
    const scene = open({ [key]: { inner: 1 } })
    scene.map(key).set(key, [1])
    scene.map(key).set('inner', 2)
    expect(scene.flush()).toHaveLength(2)
    scene.state.delete(key)
    expect(scene.flush()).toHaveLength(1)
    const token = key.replaceAll('~', '~0').replaceAll('/', '~1')
    scene.apply([{ op: 'add', path: `/${token}`, value: { [key]: 1 } }])
    scene.apply([{ op: 'replace', path: `/${token}/${token}`, value: 2 }])
    expect(scene.json).toEqual({ [key]: { [key]: 2 } })
  })

  it('14 __proto__ is refused', () => {
    const scene = open({ a: {} })
    const evil = JSON.parse('{"__proto__": {"polluted": true}}') as never
    const patches: Operation[][] = [
      [{ op: 'add', path: '/__proto__', value: 1 }],
      [{ op: 'add', path: '/a/__proto__/x', value: 1 }],
      [{ op: 'add', path: '/b', value: evil }],
      [{ op: 'add', path: '/b', value: [[{ c: evil }]] }],
      [{ op: 'copy', from: '/a', path: '/__proto__' }],
    ]
    for (const patch of patches) {
      expect(() => scene.apply(patch)).toThrow()
      expect(scene.json).toEqual({ a: {} })
    }
    // A Yjs peer can still write the key: it must do no harm, and no path may name it.
    scene.state.set('__proto__', 5)
    for (const { path } of scene.flush()) expect(path).not.toContain('__proto__')
    scene.map('a').set('__proto__', new Y.Map([['x', 1]]))
    for (const { path } of scene.flush()) expect(path).not.toContain('__proto__')
    ;(scene.map('a').get('__proto__') as Y.Map<unknown>).set('x', 2)
    for (const { path } of scene.flush()) expect(path).not.toContain('__proto__')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(scene.json)).toBe(Object.prototype)
    expectRefused(scene.doc, () => scene.apply([{ op: 'add', path: '/b', value: evil }]), 'invalid-value')
  })

  it('15 clear()', () => {
    const scene = open({ a: 1, b: { c: 2 }, d: [] })
    scene.state.clear()
    scene.flush()
    expect(scene.json).toEqual({})
  })

  it('16 a key that two clients overwrite at once', () => {
    const scene = open({ a: 0 })
    const other = replicate(scene.doc)
    other.clientID = scene.doc.clientID + 1
    scene.state.set('a', 1)
    scene.flush()
    other.getMap('state').set('a', 2)
    pull(scene.doc, other)
    expect(scene.flush()).toEqual([put('/a', 2)])
  })

  it('17 a remote overwrite that loses', () => {
    const scene = open({ a: 0 })
    const other = replicate(scene.doc)
    other.clientID = scene.doc.clientID - 1
    scene.state.set('a', 1)
    scene.flush()
    other.getMap('state').set('a', 2)
    pull(scene.doc, other)
    expect(scene.flush()).toEqual([])
  })

  it('18 a long chain of tombstones', () => {
    const scene = open({ a: 0 })
    const other = replicate(scene.doc)
    for (let i = 1; i <= 1_000; i++) {
      const [from, to] = i % 2 === 0 ? [scene.doc, other] : [other, scene.doc]
      from.getMap('state').set('a', i)
      pull(to, from)
    }
    expect(scene.flush()).toEqual([put('/a', 1_000)])
    scene.state.delete('a')
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/a' }])
  })

  it('19 tombstones merged across the baseline', () => {
    const scene = open({ a: 0 })
    scene.state.set('a', 1)
    const before = scene.view.version
    const state = scene.json
    scene.flush()
    scene.state.set('a', 2)
    scene.state.set('a', 3)
    scene.state.delete('a')
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/a' }])
    expect(scene.view.diff(before)).toEqual([{ op: 'remove', path: '/a' }])
    expect(scene.view.read({ at: before })).toEqual(state)
  })
})

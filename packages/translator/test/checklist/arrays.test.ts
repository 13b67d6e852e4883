import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { soak } from '../oracle/runs.ts'
import { expectRefused, open, pull, replicate } from '../oracle/scene.ts'

describe('out: arrays', () => {
  it('20 insert at the head, in the middle, at the end', () => {
    const scene = open({ l: [1, 2] })
    scene.array('l').insert(0, ['head'])
    expect(scene.flush()).toEqual([{ op: 'add', path: '/l/0', value: 'head' }])
    scene.array('l').insert(2, ['middle'])
    expect(scene.flush()).toEqual([{ op: 'add', path: '/l/2', value: 'middle' }])
    scene.array('l').push(['end'])
    expect(scene.flush()).toEqual([{ op: 'add', path: '/l/4', value: 'end' }])
  })

  it('21 several ranges in one transaction', () => {
    const scene = open({ l: Array.from({ length: 40 }, (_, i) => i) })
    scene.doc.transact(() => {
      scene.array('l').insert(35, ['x', 'y'])
      scene.array('l').delete(20, 2)
      scene.array('l').insert(1, ['z'])
    })
    expect(scene.flush()).toHaveLength(5)
  })

  it('22 delete a range across items', () => {
    const scene = open({ l: [1, 2, 3] })
    scene.array('l').push([4, 5])
    scene.array('l').insert(2, ['x'])
    scene.flush()
    scene.array('l').delete(1, 4)
    expect(scene.flush()).toHaveLength(4)
    expect(scene.json).toEqual({ l: [1, 5] })
  })

  it('23 delete and insert in the same gap is a replace', () => {
    const scene = open({ l: [1, 2, 3] })
    scene.doc.transact(() => {
      scene.array('l').delete(1)
      scene.array('l').insert(1, ['x'])
    })
    expect(scene.flush()).toEqual([{ op: 'replace', path: '/l/1', value: 'x' }])
  })

  it('24 insert and delete in one transaction', () => {
    const scene = open({ l: [1] })
    scene.doc.transact(() => {
      scene.array('l').insert(1, ['x', 'y'])
      scene.array('l').delete(1, 2)
    })
    expect(scene.flush()).toEqual([])
  })

  it('25 a push that merges with an older item of the same client', () => {
    const scene = open({ l: [1, 2] })
    scene.array('l').push([3])
    expect(scene.flush()).toEqual([{ op: 'add', path: '/l/2', value: 3 }])
    scene.array('l').delete(2)
    expect(scene.flush()).toEqual([{ op: 'remove', path: '/l/2' }])
  })

  it('26 an old and a new unit of one client, deleted in one flush and merged into one tombstone', () => {
    const scene = open({ a: [1] })
    scene.array('a').push(['z'])
    scene.flush()
    scene.array('a').insert(2, [2, 3])
    scene.array('a').delete(1, 2)
    const patch = scene.flush()
    expect(patch).toHaveLength(1)
    expect(patch[0]?.path).toBe('/a/1')
    expect(scene.json).toEqual({ a: [1, 3] })
  })

  it('27 nested types with content', () => {
    const scene = open({ l: [] })
    const map = new Y.Map<unknown>([['x', Y.Array.from([1])]])
    scene.array('l').push([map])
    expect(scene.flush()).toEqual([{ op: 'add', path: '/l/0', value: { x: [1] } }])
  })

  it('28 a child changes while its parent is shifted', () => {
    const scene = open({ l: [{ x: 1 }] })
    scene.doc.transact(() => {
      ;(scene.array('l').get(0) as Y.Map<unknown>).set('x', 2)
      scene.array('l').insert(0, ['before'])
    })
    expect(scene.flush()).toEqual([
      { op: 'add', path: '/l/0', value: 'before' },
      { op: 'add', path: '/l/1/x', value: 2 },
    ])
  })

  it('29 a child of an element that others moved', () => {
    const scene = open({ l: [{ x: 1 }, { x: 2 }] })
    const other = replicate(scene.doc)
    const list = other.getMap('state').get('l') as Y.Array<Y.Map<unknown>>
    list.insert(0, [new Y.Map([['x', 0]]), new Y.Map()])
    list.get(3).set('x', 20)
    pull(scene.doc, other)
    scene.flush()
    expect(scene.json).toEqual({ l: [{ x: 0 }, {}, { x: 1 }, { x: 20 }] })
  })

  it('30 a whole array is replaced, and then a child changes', () => {
    const scene = open({ l: [1, 2] })
    scene.array('l').delete(0, 2)
    scene.array('l').push(Array.from({ length: 30 }, (_, i) => new Y.Map([['i', i]])))
    ;(scene.array('l').get(3) as Y.Map<unknown>).set('i', 'changed')
    scene.flush()
    ;(scene.array('l').get(3) as Y.Map<unknown>).set('i', 'again')
    expect(scene.flush()).toEqual([{ op: 'add', path: '/l/3/i', value: 'again' }])
  })

  it(`31 ${soak ? '1e6' : '1e5'} elements`, () => {
    const count = soak ? 1_000_000 : 100_000
    const scene = open()
    scene.state.set('l', new Y.Array())
    for (let i = 0; i < count; i += 10_000)
      scene.array('l').push(Array.from({ length: 10_000 }, (_, n) => new Y.Map([['n', i + n]])))
    scene.view.diff(scene.view.version)
    const before = scene.view.version
    ;(scene.array('l').get(count - 7) as Y.Map<unknown>).set('n', 'late')
    ;(scene.array('l').get(count >> 1) as Y.Map<unknown>).set('n', 'middle')
    scene.array('l').insert(0, ['head'])
    scene.array('l').delete(count - 100)
    expect(scene.view.diff(before)).toEqual(
      expect.arrayContaining([
        { op: 'add', path: '/l/0', value: 'head' },
        { op: 'add', path: `/l/${(count >> 1) + 1}/n`, value: 'middle' },
        { op: 'remove', path: `/l/${count - 100}` },
        { op: 'add', path: `/l/${count - 7}/n`, value: 'late' },
      ]),
    )
  })

  it('32 an array is emptied', () => {
    const scene = open({ l: [1, 2, { x: 3 }] })
    scene.array('l').delete(0, 3)
    scene.flush()
    expect(scene.json).toEqual({ l: [] })
  })

  it.each([() => 1, Symbol('x'), new Date(0), new Map(), new Y.Map()])(
    '33 what is not JSON is refused before anything happens: %s',
    (value) => {
      const scene = open({ l: [1] })
      const bad = value as never
      expectRefused(
        scene.doc,
        () =>
          scene.apply([
            { op: 'add', path: '/l/0', value: 2 },
            { op: 'add', path: '/l/0', value: [bad] },
          ]),
        'invalid-value',
      )
      expect(scene.json).toEqual({ l: [1] })
    },
  )

  it('33 what Yjs would choke on or keep for itself becomes JSON', () => {
    const scene = open({ l: [] })
    scene.apply([{ op: 'add', path: '/l/0', value: [undefined, 2n ** 70n, Number.NaN, -0] as never }])
    expect(scene.json).toEqual({ l: [[null, '1180591620717411303424', null, 0]] })
    expect(replicate(scene.doc).getMap('state').toJSON()).toEqual(scene.json)
  })

  it('34 an array in an array in an array', () => {
    const scene = open({ l: [[[1], 2], 3] })
    const inner = (scene.array('l').get(0) as Y.Array<Y.Array<unknown>>).get(0)
    inner.push(['x'])
    scene.array('l').insert(0, [0])
    expect(scene.flush()).toEqual([
      { op: 'add', path: '/l/0', value: 0 },
      { op: 'add', path: '/l/1/0/1', value: 'x' },
    ])
  })
})

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { isObject, type Json, type Operation } from '../oracle/json.ts'
import { expectRefused, open, pull, replicate } from '../oracle/scene.ts'
import { applyStrict, PatchFailure } from '../oracle/strict-patch.ts'

interface SuiteCase {
  readonly doc: Json
  readonly patch?: Operation[]
  readonly expected?: Json
  readonly error?: string
  readonly comment?: string
  readonly disabled?: boolean
}

function suite(file: string): SuiteCase[] {
  const url = new URL(`../fixtures/${file}.json`, import.meta.url)
  return (JSON.parse(readFileSync(url, 'utf8')) as SuiteCase[]).filter(
    (each) => each.disabled !== true && each.patch !== undefined,
  )
}

describe.each(['tests', 'spec_tests'])('in: 61 the JSON Patch suite, %s', (file) => {
  const cases = suite(file).map((each, number) => ({ ...each, number }))

  // Under a holder key every document of the suite can be represented.
  it.each(cases)('wrapped $number $comment $error', ({ doc, patch = [], expected, error }) => {
    const scene = open({ doc })
    const wrapped = patch.map((operation) => ({
      ...operation,
      ...(typeof operation.path === 'string' ? { path: wrap(operation.path) } : {}),
      ...(typeof operation.from === 'string' ? { from: wrap(operation.from) } : {}),
    }))
    if (error !== undefined) {
      expectRefused(
        scene.doc,
        () => scene.apply(wrapped),
        failsTest({ doc }, wrapped) ? 'test-failed' : 'invalid-patch',
      )
      expect(scene.json).toEqual({ doc })
    } else {
      scene.apply(wrapped)
      if (expected !== undefined) expect(scene.json).toEqual({ doc: expected })
      scene.flush()
    }
  })

  // The document itself is an object: what would make it anything else is refused.
  it.each(cases.filter(({ doc }) => isObject(doc)))('as root $number $comment $error', (each) => {
    const { doc, patch = [], expected, error } = each
    const scene = open(doc as Record<string, unknown>)
    if (error !== undefined || (expected !== undefined && !isObject(expected))) {
      expect(() => scene.apply(patch)).toThrow(expect.objectContaining({ name: 'PolyphonyError' }))
      expect(scene.json).toEqual(doc)
    } else {
      scene.apply(patch)
      if (expected !== undefined) expect(scene.json).toEqual(expected)
      scene.flush()
    }
  })
})

function wrap(path: string): string {
  return path === '' || path.startsWith('/') ? `/doc${path}` : path
}

/** Whether it is the value that a `test` stumbles over, not its form. */
function failsTest(doc: Json, patch: readonly Operation[]): boolean {
  try {
    applyStrict(doc, patch)
    return false
  } catch (error) {
    return error instanceof PatchFailure && error.message.endsWith('test failed')
  }
}

describe('in: one case each', () => {
  it('62 a failing last operation leaves no event and no update', () => {
    const scene = open({ l: [1, 2], m: { x: 1 } })
    expectRefused(
      scene.doc,
      () =>
        scene.apply([
          { op: 'add', path: '/l/0', value: 0 },
          { op: 'replace', path: '/m/x', value: { deep: [1] } },
          { op: 'remove', path: '/m/nothing' },
        ]),
      'invalid-patch',
    )
    expectRefused(
      scene.doc,
      () =>
        scene.apply([
          { op: 'remove', path: '/l/0' },
          { op: 'test', path: '/l/0', value: 1 },
        ]),
      'test-failed',
    )
  })

  it('63 the root: an object is reconciled, anything else is refused', () => {
    const scene = open({ keep: { x: 1, y: 2 }, gone: 1 })
    const kept = scene.map('keep')
    scene.apply([{ op: 'replace', path: '', value: { keep: { x: 1, y: 3 }, added: [] } }])
    expect(scene.json).toEqual({ keep: { x: 1, y: 3 }, added: [] })
    expect(scene.map('keep')).toBe(kept)
    for (const value of [[], [1], 'text', 5, null, true] as Json[])
      for (const op of ['add', 'replace'] as const)
        expect(() => scene.apply([{ op, path: '', value }])).toThrow()
    expect(() => scene.apply([{ op: 'remove', path: '' }])).toThrow()
    expect(scene.json).toEqual({ keep: { x: 1, y: 3 }, added: [] })
  })

  it('64 `-` is for add only', () => {
    const scene = open({ l: [1], m: { '-': 1 } })
    scene.apply([{ op: 'add', path: '/l/-', value: 2 }])
    expect(scene.json).toEqual({ l: [1, 2], m: { '-': 1 } })
    for (const operation of [
      { op: 'remove', path: '/l/-' },
      { op: 'replace', path: '/l/-', value: 1 },
      { op: 'test', path: '/l/-', value: 2 },
      { op: 'copy', from: '/l/-', path: '/x' },
      { op: 'add', path: '/l/-/x', value: 1 },
    ] as Operation[])
      expectRefused(scene.doc, () => scene.apply([operation]), 'invalid-patch')
    scene.apply([{ op: 'remove', path: '/m/-' }])
    scene.apply([{ op: 'copy', from: '/l/0', path: '/l/-' }])
    expect(scene.json).toEqual({ l: [1, 2, 1], m: {} })
  })

  it.each(['01', '-1', '1e0', '+1', ' 1', '1 ', '1.0', '0x1', 'a', '', '２'])('65 the index %j', (token) => {
    const scene = open({ l: [1, 2, 3] })
    for (const operation of [
      { op: 'add', path: `/l/${token}`, value: 1 },
      { op: 'replace', path: `/l/${token}`, value: 1 },
      { op: 'remove', path: `/l/${token}` },
    ] as Operation[])
      expectRefused(scene.doc, () => scene.apply([operation]), 'invalid-patch')
  })

  it('66 add into a scalar, or into nothing', () => {
    const scene = open({ n: 1, s: 'text', t: new Y.Text('text'), z: null })
    for (const path of ['/n/x', '/s/0', '/t/0', '/z/x', '/nothing/x', '/n/x/y'])
      expectRefused(scene.doc, () => scene.apply([{ op: 'add', path, value: 1 }]), 'invalid-patch')
  })

  it('67 move onto itself, into an own child, between parents', () => {
    const scene = open({ a: { b: { c: 1 } }, l: [{ x: 1 }, 2] })
    scene.apply([{ op: 'move', from: '/a', path: '/a' }])
    scene.apply([{ op: 'move', from: '/l/1', path: '/l/1' }])
    expect(scene.json).toEqual({ a: { b: { c: 1 } }, l: [{ x: 1 }, 2] })
    expectRefused(scene.doc, () => scene.apply([{ op: 'move', from: '/a', path: '/a/b/x' }]), 'invalid-patch')
    expectRefused(
      scene.doc,
      () => scene.apply([{ op: 'move', from: '/l/0', path: '/l/0/x' }]),
      'invalid-patch',
    )
    scene.apply([{ op: 'move', from: '/a/b', path: '/l/1' }])
    expect(scene.json).toEqual({ a: {}, l: [{ x: 1 }, { c: 1 }, 2] })
    scene.apply([{ op: 'move', from: '/l/0', path: '/l/2' }])
    expect(scene.json).toEqual({ a: {}, l: [{ c: 1 }, 2, { x: 1 }] })
    scene.apply([{ op: 'move', from: '/l/2/x', path: '/a/y' }])
    expect(scene.json).toEqual({ a: { y: 1 }, l: [{ c: 1 }, 2, {}] })
    scene.flush()
  })

  it('68 copy, then edit the copy', () => {
    const scene = open({ a: { b: [1] } })
    scene.apply([
      { op: 'copy', from: '/a', path: '/c' },
      { op: 'add', path: '/c/b/-', value: 2 },
      { op: 'replace', path: '/a/b/0', value: 'x' },
    ])
    expect(scene.json).toEqual({ a: { b: ['x'] }, c: { b: [1, 2] } })
  })

  it('69 test: numbers, strings, the order of members, depth', () => {
    const scene = open({
      n: 1,
      s: '1',
      o: { a: 1, b: { c: [1, { d: null }] } },
      l: [1, 2],
      t: new Y.Text('x'),
    })
    const holds = (path: string, value: Json): void => {
      scene.apply([{ op: 'test', path, value }])
    }
    const fails = (path: string, value: Json): void =>
      expectRefused(scene.doc, () => scene.apply([{ op: 'test', path, value }]), 'test-failed')
    holds('/n', 1)
    fails('/n', '1')
    holds('/s', '1')
    fails('/s', 1)
    holds('/o', { b: { c: [1, { d: null }] }, a: 1 })
    fails('/o', { a: 1 })
    fails('/o', { a: 1, b: { c: [1, { d: null }] }, e: 1 })
    fails('/o/b/c/1', {})
    holds('/l', [1, 2])
    fails('/l', [2, 1])
    fails('/l', { 0: 1, 1: 2 })
    holds('/t', 'x')
    holds('', { n: 1, s: '1', o: { a: 1, b: { c: [1, { d: null }] } }, l: [1, 2], t: 'x' })
  })

  it('70 replacing by an almost equal object keeps what others change in it', () => {
    const scene = open({ o: { title: 'a', done: false, tags: ['x'] } })
    const other = replicate(scene.doc)
    const patch: Operation[] = [
      { op: 'replace', path: '/o', value: { title: 'b', done: false, tags: ['x'] } },
    ]
    scene.apply(patch)
    ;(other.getMap('state').get('o') as Y.Map<unknown>).set('done', true)
    ;((other.getMap('state').get('o') as Y.Map<unknown>).get('tags') as Y.Array<unknown>).push(['y'])
    pull(scene.doc, other)
    expect(scene.json).toEqual({ o: { title: 'b', done: true, tags: ['x', 'y'] } })
  })

  it('71 an array is put into another order by id', () => {
    const item = (id: string): { id: string; n: number[] } => ({ id, n: [1] })
    const scene = open({ l: ['a', 'b', 'c', 'd'].map(item) })
    const next = ['d', 'a', 'x', 'c'].map(item)
    scene.apply([{ op: 'replace', path: '/l', value: next }])
    expect(scene.json).toEqual({ l: next })
    scene.flush()
  })

  it('72 a text gets a string, and something else', () => {
    const scene = open({ t: new Y.Text('hello') })
    const text = scene.text('t')
    scene.apply([{ op: 'replace', path: '/t', value: 'hello world' }])
    expect(scene.text('t')).toBe(text)
    scene.apply([{ op: 'add', path: '/t', value: 'world' }])
    expect(scene.text('t')).toBe(text)
    expect(scene.json).toEqual({ t: 'world' })
    scene.apply([{ op: 'replace', path: '/t', value: [1] }])
    expect(scene.json).toEqual({ t: [1] })
    scene.flush()
  })

  it('73 the limit of depth', () => {
    const nest = (levels: number): Json => (levels === 0 ? 1 : { n: nest(levels - 1) })
    const scene = open({}, { limits: { jsonDepthMax: 20 } })
    expectRefused(scene.doc, () => scene.apply([{ op: 'add', path: '/a', value: nest(30) }]), 'invalid-value')
    expectRefused(
      scene.doc,
      () => scene.apply([{ op: 'replace', path: '', value: { a: nest(30) } }]),
      'invalid-value',
    )
    scene.apply([{ op: 'add', path: '/a', value: nest(10) }])
    // The place counts, too: no patch after another may build what one patch may not.
    const deep = `/a${'/n'.repeat(9)}`
    expectRefused(
      scene.doc,
      () => scene.apply([{ op: 'add', path: `${deep}/m`, value: nest(15) }]),
      'invalid-value',
    )
    expectRefused(
      scene.doc,
      () => scene.apply([{ op: 'replace', path: `${deep}/n`, value: nest(15) }]),
      'invalid-value',
    )
    const bottomless = open()
    expectRefused(
      bottomless.doc,
      () => bottomless.apply([{ op: 'add', path: '/a', value: nest(5_000) }]),
      'invalid-value',
    )
  })

  it('74 the key "constructor"', () => {
    const scene = open()
    scene.apply([{ op: 'add', path: '/constructor', value: { constructor: { prototype: [1] } } }])
    scene.apply([{ op: 'replace', path: '/constructor/constructor/prototype/0', value: 2 }])
    expect(scene.json).toEqual({ constructor: { constructor: { prototype: [2] } } })
    scene.flush()
  })

  it('75 value, from, path or op is missing', () => {
    const scene = open({ a: 1 })
    for (const operation of [
      { op: 'add', path: '/b' },
      { op: 'replace', path: '/a' },
      { op: 'test', path: '/a' },
      { op: 'move', path: '/b' },
      { op: 'copy', path: '/b' },
      { op: 'add', value: 1 },
      { op: 'remove' },
      { path: '/a' },
      { op: 'spam', path: '/a' },
      { op: 'add', path: 5, value: 1 },
      { op: 'add', path: null, value: 1 },
      { op: 'move', from: 1, path: '/b' },
      null,
      'add',
      [],
    ])
      expectRefused(scene.doc, () => scene.apply([operation as never]), 'invalid-patch')
    for (const patch of [null, {}, 'x', { op: 'add', path: '/b', value: 1 }])
      expectRefused(scene.doc, () => scene.apply(patch as never), 'invalid-patch')
    scene.apply([{ op: 'add', path: '/b', value: null }])
    expect(scene.json).toEqual({ a: 1, b: null })
  })

  it('76 a bad escape', () => {
    const scene = open({ '~2': 1, '~': 2 })
    for (const path of ['/~2', '/~', '/a~', '/~a', '~0', 'a'])
      expectRefused(scene.doc, () => scene.apply([{ op: 'add', path, value: 1 }]), 'invalid-patch')
  })

  it('77 a patch of 1e5 operations, and one too many', () => {
    const scene = open({ l: [], m: {} })
    const patch = Array.from({ length: 100_000 }, (_, i): Operation =>
      i % 2 === 0
        ? { op: 'add', path: `/l/${i >> 2}`, value: i }
        : { op: 'add', path: `/m/k${i % 1000}`, value: i },
    )
    scene.apply(patch)
    const list = scene.array('l')
    expect(list.length).toBe(50_000)
    scene.flush()
    const more = [...patch, { op: 'add', path: '/x', value: 1 } as Operation]
    expectRefused(scene.doc, () => scene.apply(more), 'patch-too-large')
  })
})

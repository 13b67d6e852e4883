import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { array, map, text, xml } from './mounts.ts'
import { toJson } from './one-off.ts'
import { JsonView } from './view.ts'

describe('mounts', () => {
  it('reserved roots only appear where they are mounted', () => {
    const doc = new Y.Doc()
    doc.getMap('state').set('a', 1)
    doc.getArray('polyphony:messages').push(['hi'])
    expect(toJson(doc)).toEqual({ a: 1 })
    expect(toJson(doc, { mounts: { '/messages': array('polyphony:messages') } })).toEqual({
      a: 1,
      messages: ['hi'],
    })
  })

  it('without any, the root map is the state and other roots appear under their names', () => {
    const doc = new Y.Doc({ gc: false })
    const view = new JsonView(doc)
    const start = view.version
    expect(view.read()).toEqual({})
    doc.getMap('state').set('a', 1)
    doc.getText('note').insert(0, 'hi')
    doc.getArray('list').push([1])
    doc.getXmlFragment('page').push([new Y.XmlElement('p')])
    doc.getMap('empty')
    const state = { a: 1, list: [1], note: 'hi', page: { type: 'doc', content: [{ type: 'p' }] } }
    expect(view.read()).toEqual(state)
    expect(view.read({ at: start })).toEqual({})
    expect(
      view
        .diff(start)
        .map(({ op, path }) => `${op} ${path}`)
        .toSorted(),
    ).toEqual(['add /a', 'add /list', 'add /note', 'add /page'])
    // A replica that nobody has typed yet sees the same.
    const other = new Y.Doc()
    Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
    expect(toJson(other)).toEqual(state)
    expect(toJson(other, { auto: false })).toEqual({ a: 1 })
  })

  it('show what is named, empty as long as there is nothing', () => {
    const doc = new Y.Doc()
    const mounts = { '': map('s'), '/a/b': array('l'), '/t': text('t'), '/x': xml('x'), '/m': map('m') }
    const view = new JsonView(doc, { mounts, auto: false })
    expect(view.read()).toEqual({ a: { b: [] }, m: {}, t: '', x: { type: 'doc', content: [] } })
    doc.getText('unknown').insert(0, 'x')
    const at = view.version
    view.apply([
      { op: 'add', path: '/a/b/0', value: 1 },
      { op: 'add', path: '/m/k', value: 2 },
      { op: 'replace', path: '/t', value: 'text' },
      { op: 'add', path: '/x/content/0', value: { type: 'p' } },
      { op: 'add', path: '/own', value: 3 },
    ])
    expect(doc.getArray('l').toJSON()).toEqual([1])
    expect(doc.getMap('s').toJSON()).toEqual({ own: 3 })
    expect(view.read()).toEqual({
      a: { b: [1] },
      m: { k: 2 },
      own: 3,
      t: 'text',
      x: { type: 'doc', content: [{ type: 'p' }] },
    })
    expect(view.diff(at, { pointer: '/a' })).toEqual([{ op: 'add', path: '/b/0', value: 1 }])
    expect(view.diff(at, { pointer: '/t' })).toEqual([{ op: 'replace', path: '', value: 'text' }])
  })

  it('stay: they are neither removed nor become something else', () => {
    const doc = new Y.Doc()
    const view = new JsonView(doc, { mounts: { '/t': text('t') } })
    view.assign({ t: 'kept', a: 1 })
    for (const patch of [
      [{ op: 'remove', path: '/t' }],
      [{ op: 'move', from: '/t', path: '/u' }],
      [{ op: 'add', path: '/t', value: 5 }],
    ] as const)
      expect(() => view.apply(patch)).toThrow()
    const { conflicts } = view.assign({ b: 2 })
    expect(conflicts).toMatchObject([{ reason: 'mounted', path: '/t', skipped: true }])
    expect(view.read()).toEqual({ b: 2, t: 'kept' })
  })

  it('hide what the map has in their place', () => {
    const doc = new Y.Doc({ gc: false })
    doc.getMap('state').set('t', { hidden: true })
    const view = new JsonView(doc, { mounts: { '/t': text('t') } })
    const at = view.version
    expect(view.read()).toEqual({ t: '' })
    doc.getMap('state').set('t', 1)
    expect(view.diff(at)).toEqual([])
  })

  it.each([
    [{ '': array('l') }, 'is an object'],
    [{ '/a': text('t'), '/a/b': map('m') }, 'not a map'],
    [{ '/a': map('m'), '/b': map('m') }, 'twice'],
    [{ '/__proto__': map('m') }, '__proto__'],
  ])('%o is refused', (mounts, message) => {
    expect(() => new JsonView(new Y.Doc(), { mounts })).toThrow(message)
  })

  it('a root that the application uses as something else is a mistake that is told', () => {
    const doc = new Y.Doc()
    doc.getText('state')
    expect(() => toJson(doc)).toThrow(/mounted as map, but the document uses it as text/)
  })
})

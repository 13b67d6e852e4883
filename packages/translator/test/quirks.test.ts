import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { JsonMirror, JsonView, type Version } from '../src/index.ts'
import { open, replicate, Scene } from './oracle/scene.ts'

// What Yjs does that one would not expect, as far as a translator can run into it.
describe('quirks of Yjs', () => {
  it('a value that is set again writes a struct; a patch that says what is there already writes nothing', () => {
    const scene = open({ a: 1, o: { x: [1, { y: null }] }, t: new Y.Text('text') })
    const before = Y.encodeStateAsUpdate(scene.doc)
    scene.apply([
      { op: 'replace', path: '/a', value: 1 },
      { op: 'add', path: '/o', value: { x: [1, { y: null }] } },
      { op: 'replace', path: '/t', value: 'text' },
      { op: 'replace', path: '', value: { a: 1, o: { x: [1, { y: null }] }, t: 'text' } },
    ])
    expect(Y.encodeStateAsUpdate(scene.doc)).toEqual(before)
  })

  it('a document that a peer nests deeper than a stack is refused with an error, and nothing hangs', () => {
    const deep = new Y.Doc()
    let map = deep.getMap<unknown>('state')
    for (let i = 0; i < 1_500; i++) {
      const next = new Y.Map<unknown>()
      map.set('n', next)
      map = next
    }
    const scene = open({ a: 1 })
    const version = scene.view.version
    Y.applyUpdate(scene.doc, Y.encodeStateAsUpdate(deep))
    const refused = expect.objectContaining({ name: 'PolyphonyError', code: 'invalid-value' })
    expect(() => scene.view.read()).toThrow(refused)
    expect(() => scene.view.diff(version)).toThrow(refused)
    scene.apply([{ op: 'remove', path: '/n' }])
    expect(scene.json).toEqual({ a: 1 })
  })

  it('a freshly loaded document does not know the types of its roots; they show by what they hold', () => {
    const source = new Y.Doc()
    source.getMap('state').set('a', 1)
    source.getArray('list').push([1, new Y.Map([['x', 1]])])
    source.getText('notes').insert(0, 'hello')
    const paragraph = new Y.XmlElement('paragraph')
    source.getXmlFragment('page').insert(0, [paragraph])
    paragraph.insert(0, [new Y.XmlText('text')])
    source.getMap('other').set('b', 2)
    const doc = replicate(source)
    expect(doc.toJSON()['list']).toBeUndefined()
    const scene = new Scene(doc)
    expect(scene.json).toEqual({
      a: 1,
      list: [1, { x: 1 }],
      notes: 'hello',
      other: { b: 2 },
      page: { type: 'doc', content: [{ type: 'paragraph', content: [{ type: 'text', text: 'text' }] }] },
    })
    // The application can still type them as it likes.
    expect(doc.getArray('list').length).toBe(2)
    expect(doc.getXmlFragment('page').length).toBe(1)
    scene.apply([{ op: 'add', path: '/list/0', value: 0 }])
    expect(doc.getArray('list').toJSON()).toEqual([0, 1, { x: 1 }])
  })

  it('what an undo manager holds is not collected when it leaves the window', () => {
    const scene = open({ l: [{ deep: ['content'] }, 'b'] }, { retain: { versions: 3 } })
    const undo = new Y.UndoManager(scene.state, { captureTimeout: 0 })
    scene.array('l').delete(0)
    // Others write; only this client's own deletion is on the stack.
    const other = replicate(scene.doc)
    for (let i = 0; i < 40; i++) {
      other.getMap('state').set('n', i)
      Y.applyUpdate(scene.doc, Y.encodeStateAsUpdate(other, Y.encodeStateVector(scene.doc)), 'remote')
    }
    scene.view.collect()
    undo.undo()
    expect(scene.json).toEqual({ l: [{ deep: ['content'] }, 'b'], n: 39 })
  })

  it('two views on one document, one of them with a window, see the same', () => {
    const scene = open({ l: [1, 2, 3] })
    const second = new JsonView(scene.doc)
    const version = second.version
    scene.apply([{ op: 'add', path: '/l/-', value: 4 }])
    scene.array('l').delete(0)
    expect(second.read()).toEqual(scene.json)
    expect(second.diff(version)).toHaveLength(2)
    second.destroy()
    scene.flush()
  })

  it('in an observer Yjs has closed the transaction, but told nobody yet: no diffs and no patches there', () => {
    const scene = open({ l: Array.from({ length: 3_000 }, (_, n) => ({ n })) })
    const list = scene.array('l')
    const mirror = new JsonMirror(scene.view)
    scene.apply([{ op: 'test', path: '/l/2500/n', value: 2_500 }])
    const version = scene.view.version
    const refused = expect.objectContaining({ code: 'invalid-request' })
    let observed = 0
    list.observe(() => {
      observed += 1
      expect(() => scene.view.diff(version)).toThrow(refused)
      expect(() => scene.apply([{ op: 'remove', path: '/l/2500' }])).toThrow(refused)
      expect((mirror.value as { l: unknown[] }).l).toHaveLength(3_000)
    })
    // After it the view is the place to listen; a patch in there is a change like any other.
    scene.view.on('change', () => {
      const { n } = (list.get(2_500) as Y.Map<number>).toJSON() as { n: number }
      if (n > 0)
        scene.apply([
          { op: 'test', path: '/l/2500/n', value: n },
          { op: 'replace', path: '/l/2500/n', value: 0 },
        ])
    })
    list.insert(0, [new Y.Map([['n', -1]]), new Y.Map([['n', -2]])])
    expect(observed).toBe(1)
    expect(scene.view.read({ pointer: '/l/2500' })).toEqual({ n: 0 })
    expect(scene.view.read({ pointer: '/l/2501' })).toEqual({ n: 2_499 })
    expect(mirror.value).toEqual(scene.json)
    scene.flush()
  })

  it('an update handler runs after the view has taken the change in, but a patch in there is not over at once', () => {
    const scene = open({ a: 1 })
    const versions: Version[] = []
    scene.doc.on('update', () => {
      if (versions.length > 0) return
      const before = scene.view.version
      expect(scene.view.read({ at: before })).toEqual({ a: 2 })
      versions.push(before, scene.apply([{ op: 'add', path: '/b', value: 1 }], { at: before }).version)
    })
    scene.state.set('a', 2)
    expect(scene.json).toEqual({ a: 2, b: 1 })
    expect(scene.view.read({ at: versions[0] })).toEqual({ a: 2 })
    expect(scene.view.read({ at: versions[1] })).toEqual({ a: 2, b: 1 })
  })
})

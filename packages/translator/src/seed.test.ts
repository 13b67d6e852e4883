import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { map, text, xml } from './mounts.ts'
import { toJson } from './one-off.ts'
import { seed } from './seed.ts'

describe('seed', () => {
  const json = { list: [{ id: 'a' }], deep: { er: { 'x/y': 1 } }, constructor: { prototype: 1 } }

  it('is the same bytes for the same JSON, and seeding again changes nothing', () => {
    const update = seed(json)
    expect(seed(JSON.parse(JSON.stringify(json)) as typeof json)).toEqual(update)
    expect(seed({ deep: { er: { 'x/y': 1 } }, constructor: { prototype: 1 }, list: [{ id: 'a' }] })).toEqual(
      update,
    )
    const [one, two] = [new Y.Doc(), new Y.Doc()]
    for (const doc of [one, two]) {
      Y.applyUpdate(doc, update)
      ;(doc.getMap('state').get('list') as Y.Array<unknown>).push([doc === one ? 'one' : 'two'])
      Y.applyUpdate(doc, seed(json))
    }
    Y.applyUpdate(one, Y.encodeStateAsUpdate(two))
    Y.applyUpdate(two, Y.encodeStateAsUpdate(one))
    expect(toJson(one)).toEqual(toJson(two))
    expect((toJson(one) as { list: unknown[] }).list).toHaveLength(3)
  })

  it('depends on JSON and layout', () => {
    const ids = [seed(json), seed({ ...json, more: 1 }), seed(json, { root: 'other' })].map((update) => [
      ...Y.parseUpdateMeta(update).to.keys(),
    ])
    expect(new Set(ids.flat()).size).toBe(3)
  })

  it('makes texts and XML where the layout says so', () => {
    const options = {
      mounts: { '': map('state'), '/body': text('body'), '/document': xml('prosemirror') },
      texts: { '/notes/*/body': 'string', '/code': 'lines' },
    } as const
    const state = {
      body: 'hello',
      code: ['a', 'b'],
      document: { type: 'doc', content: [{ type: 'paragraph', content: [{ type: 'text', text: 'x' }] }] },
      notes: [{ body: 'n', title: 't' }],
    }
    const doc = new Y.Doc()
    Y.applyUpdate(doc, seed(state, options))
    expect(toJson(doc, options)).toEqual(state)
    const note = (doc.getMap('state').get('notes') as Y.Array<Y.Map<unknown>>).get(0)
    expect(note.get('body')).toBeInstanceOf(Y.Text)
    expect(note.get('title')).toBe('t')
    expect(doc.getMap('state').get('code')).toBeInstanceOf(Y.Text)
    expect(doc.getText('body').toJSON()).toBe('hello')
    expect(doc.getXmlFragment('prosemirror').toJSON()).toBe('<paragraph>x</paragraph>')
  })

  it.each([[[]], ['text'], [null]])('the state is an object, not %o', (value) => {
    expect(() => seed(value)).toThrow(expect.objectContaining({ code: 'invalid-value' }))
  })
})

import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { map, xml, type JsonViewOptions } from '../../src/index.ts'
import type { Json } from '../oracle/json.ts'
import { project } from '../oracle/project.ts'
import { open, Scene } from '../oracle/scene.ts'

describe('out: texts and XML', () => {
  it('35 insert, delete, format only', () => {
    const scene = open({ t: new Y.Text('hello') })
    scene.text('t').insert(5, ' world')
    expect(scene.flush()).toEqual([{ op: 'add', path: '/t', value: 'hello world' }])
    scene.text('t').delete(0, 6)
    expect(scene.flush()).toEqual([{ op: 'add', path: '/t', value: 'world' }])
    scene.text('t').format(0, 3, { bold: true })
    // The string is the same: nothing may be sent.
    expect(scene.flush()).toEqual([])
  })

  it('36 an embed', () => {
    const scene = open({ t: new Y.Text('ab') })
    scene.text('t').insertEmbed(1, { image: 'x.png' })
    scene.flush()
    scene.text('t').insert(2, 'c')
    scene.flush()
    expect((scene.json as { t: string }).t.replaceAll(/[^a-z]/g, '')).toBe('acb')
  })

  it('37 a Yjs type embedded in a text changes', () => {
    const scene = open({ t: new Y.Text('ab') })
    const inner = new Y.Map<unknown>()
    scene.text('t').insertEmbed(1, inner)
    scene.flush()
    inner.set('x', 1)
    for (const { path } of scene.flush()) expect(path).toBe('/t')
  })

  it('38 emoji at the borders of a difference', () => {
    const scene = open({ t: new Y.Text('a🙂b') })
    // 🙂 and 🙃 share their first surrogate.
    scene.apply([{ op: 'replace', path: '/t', value: 'a🙃b' }])
    expect(scene.json).toEqual({ t: 'a🙃b' })
    scene.apply([{ op: 'replace', path: '/t', value: 'a🙃🙂b' }])
    expect(scene.json).toEqual({ t: 'a🙃🙂b' })
    scene.apply([{ op: 'replace', path: '/t', value: 'a🙂b' }])
    expect(scene.json).toEqual({ t: 'a🙂b' })
    expect(scene.text('t').toJSON()).toBe('a🙂b')
  })

  it('39 typing in a paragraph touches that paragraph only', () => {
    const { scene, paragraphs } = openXml('one', 'two', 'three')
    textOf(paragraphs[1]).insert(3, '!')
    const patch = scene.flush()
    expect(patch.length).toBeGreaterThan(0)
    for (const { path } of patch) expect(path).toMatch(/^\/document\/content\/1\//)
    checkXml(scene)
  })

  it('40 a paragraph is split, and two are merged', () => {
    const { scene, fragment, paragraphs } = openXml('onetwo', 'three')
    scene.doc.transact(() => {
      textOf(paragraphs[0]).delete(3, 3)
      fragment.insert(1, [makeParagraph('two')])
    })
    scene.flush()
    checkXml(scene)
    scene.doc.transact(() => {
      textOf(paragraphs[0]).insert(3, 'two')
      fragment.delete(1)
    })
    scene.flush()
    checkXml(scene)
  })

  it('41 the only XmlText goes and is collected, so that a node has elements only', () => {
    const { scene, paragraphs } = openXml('one')
    scene.doc.transact(() => {
      const image = new Y.XmlElement('image')
      paragraphs[0]?.insert(1, [image])
    })
    scene.flush()
    scene.doc.transact(() => paragraphs[0]?.delete(0))
    scene.flush()
    checkXml(scene)
    elementOf(paragraphs[0], 0).setAttribute('src', 'x')
    scene.flush()
    checkXml(scene)
  })

  it('42 the first attribute comes and the last one goes', () => {
    const { scene, paragraphs } = openXml('one')
    paragraphs[0]?.setAttribute('level', '1')
    scene.flush()
    checkXml(scene)
    paragraphs[0]?.setAttribute('level', '2')
    scene.flush()
    checkXml(scene)
    paragraphs[0]?.removeAttribute('level')
    scene.flush()
    checkXml(scene)
  })

  it('43 the order of marks does not depend on the order of making them', () => {
    const first = openXml('one')
    textOf(first.paragraphs[0]).format(0, 3, { strong: {} })
    textOf(first.paragraphs[0]).format(0, 3, { em: {} })
    const second = openXml('one')
    textOf(second.paragraphs[0]).format(0, 3, { em: {} })
    textOf(second.paragraphs[0]).format(0, 3, { strong: {} })
    expect(JSON.stringify(first.scene.json)).toBe(JSON.stringify(second.scene.json))
    first.scene.flush()
    second.scene.flush()
  })

  it('44 an inline node between texts', () => {
    const { scene, paragraphs } = openXml('one')
    scene.doc.transact(() => paragraphs[0]?.insert(1, [new Y.XmlElement('hard_break'), new Y.XmlText('two')]))
    scene.flush()
    checkXml(scene)
    textOf(paragraphs[0], 2).insert(0, 'x')
    textOf(paragraphs[0]).format(0, 1, { bold: {} })
    elementOf(paragraphs[0], 1).setAttribute('a', '1')
    scene.flush()
    checkXml(scene)
  })
})

const options: JsonViewOptions = {
  mounts: { '': map('state'), '/document': xml('prosemirror') },
}

function openXml(...texts: string[]): {
  scene: Scene
  fragment: Y.XmlFragment
  paragraphs: (Y.XmlElement | undefined)[]
} {
  const doc = new Y.Doc({ gc: false })
  const fragment = doc.getXmlFragment('prosemirror')
  fragment.insert(0, texts.map(makeParagraph))
  return { scene: new Scene(doc, options), fragment, paragraphs: fragment.toArray() as Y.XmlElement[] }
}

function makeParagraph(text: string): Y.XmlElement {
  const paragraph = new Y.XmlElement('paragraph')
  paragraph.insert(0, [new Y.XmlText(text)])
  return paragraph
}

function textOf(paragraph: Y.XmlElement | undefined, index = 0): Y.XmlText {
  return paragraph?.get(index) as Y.XmlText
}

function elementOf(paragraph: Y.XmlElement | undefined, index: number): Y.XmlElement {
  return paragraph?.get(index) as Y.XmlElement
}

function checkXml(scene: Scene): void {
  expect((scene.json as Record<string, Json>).document).toEqual(
    project(scene.doc.getXmlFragment('prosemirror')),
  )
}

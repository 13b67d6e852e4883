// @vitest-environment jsdom
import { Editor } from '@tiptap/core'
import { Collaboration } from '@tiptap/extension-collaboration'
import { StarterKit } from '@tiptap/starter-kit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { yXmlFragmentToProsemirrorJSON } from 'y-prosemirror'
import * as Y from 'yjs'
import { JsonView, map, xml, type JsonPatch } from '../src/index.ts'
import { canonical, clone, isObject, type Json, type Operation } from './oracle/json.ts'
import { Rng } from './oracle/rng.ts'
import { runs } from './oracle/runs.ts'
import { applyStrict } from './oracle/strict-patch.ts'

const mounts = { '': map('state'), '/document': xml('default') }

interface Open {
  readonly doc: Y.Doc
  readonly editor: Editor
  readonly view: JsonView
  readonly fragment: Y.XmlFragment
}

function openEditor(content: string): Open {
  const doc = new Y.Doc({ gc: false })
  const editor = new Editor({
    element: document.createElement('div'),
    extensions: [StarterKit.configure({ undoRedo: false }), Collaboration.configure({ document: doc })],
  })
  editor.commands.setContent(content)
  return { doc, editor, view: new JsonView(doc, { mounts }), fragment: doc.getXmlFragment('default') }
}

/** The JSON of y-prosemirror, with marks in a fixed order, as ours has them. */
function theirs(fragment: Y.XmlFragment): Json {
  const sortMarks = (node: Json): Json => {
    if (Array.isArray(node)) return node.map(sortMarks)
    if (!isObject(node)) return node
    const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, sortMarks(value)]))
    if (Array.isArray(copy.marks))
      copy.marks = (copy.marks as { type: string }[]).toSorted((a, b) => (a.type < b.type ? -1 : 1))
    return copy
  }
  return sortMarks(JSON.parse(JSON.stringify(yXmlFragmentToProsemirrorJSON(fragment))) as Json)
}

const sample = `
  <h1>Title</h1><p>Some <strong>bold</strong> and <em>slanted <strong>both</strong></em> text 👩‍🚀.</p>
  <ul><li><p>one</p></li><li><p>two <a href="https://example.org">link</a></p><ol><li><p>deep</p></li></ol></li></ul>
  <blockquote><p>quote</p></blockquote><pre><code class="language-ts">const a = 1</code></pre><hr><p>a<br>b</p><p></p>`

describe('documents made by Tiptap', () => {
  it('look as y-prosemirror makes them look, at once and after every edit', () => {
    const { editor, view, fragment } = openEditor(sample)
    let last = { version: view.version, state: clone(view.read()) as Json }
    expect(view.read({ pointer: '/document' })).toEqual(theirs(fragment))
    const rng = new Rng(5)
    for (let i = 0; i < 150; i++) {
      editRandomly(rng, editor)
      const state = clone(view.read()) as Json
      expect((state as { document: Json }).document).toEqual(theirs(fragment))
      const patch = view.diff(last.version) as unknown as Operation[]
      expect(canonical(applyStrict(last.state, patch))).toBe(canonical(state))
      last = { version: view.version, state }
    }
    editor.destroy()
  })

  it('take patches of an agent, and the editor shows them', () => {
    const { editor, view, fragment } = openEditor('<h1>Title</h1><p>one</p><p>two</p>')
    const patches: Operation[][] = [
      [
        {
          op: 'add',
          path: '/document/content/1',
          value: { type: 'paragraph', content: [{ type: 'text', text: 'new' }] },
        },
      ],
      [{ op: 'replace', path: '/document/content/0/content/0/text', value: 'A title' }],
      [{ op: 'replace', path: '/document/content/0/attrs/level', value: 2 }],
      [{ op: 'remove', path: '/document/content/3' }],
      [
        {
          op: 'replace',
          path: '/document/content/2',
          value: {
            type: 'bulletList',
            content: [
              {
                type: 'listItem',
                content: [
                  {
                    type: 'paragraph',
                    content: [{ type: 'text', text: 'item', marks: [{ type: 'bold', attrs: {} }] }],
                  },
                ],
              },
            ],
          },
        },
      ],
    ]
    for (const patch of patches) {
      const before = clone(view.read()) as Json
      view.apply(patch as unknown as JsonPatch)
      expect(canonical(view.read())).toBe(canonical(applyStrict(before, patch)))
      expect(view.read({ pointer: '/document' })).toEqual(theirs(fragment))
    }
    expect(editor.getText()).toContain('A title')
    expect(editor.getText()).toContain('item')
    expect(editor.getText()).not.toContain('two')
    expect(editor.getJSON().content[0]).toMatchObject({ type: 'heading', attrs: { level: 2 } })
    editor.destroy()
  })

  it('a stale rewrite of a paragraph keeps what people typed in it and around it', () => {
    const { editor, view, fragment } = openEditor('<p>hello world</p><p>second</p>')
    const at = view.version
    editor.commands.insertContentAt(1, 'HUMAN ')
    editor.commands.insertContentAt(0, '<p>before</p>')
    const value = { type: 'paragraph', content: [{ type: 'text', text: 'hello brave world' }] }
    const { conflicts } = view.apply([{ op: 'replace', path: '/document/content/0', value }] as JsonPatch, {
      at,
    })
    expect(conflicts).toEqual([])
    expect(editor.getText({ blockSeparator: '|' })).toBe('before|HUMAN hello brave world|second')
    expect(view.read({ pointer: '/document' })).toEqual(theirs(fragment))
    editor.destroy()
  })

  it('any document over any other: the result is what was asked for, and the editor still works', () => {
    fc.assert(
      fc.property(fc.noShrink(fc.nat()), (seed) => {
        const rng = new Rng(seed)
        const [one, two] = [openEditor(sample), openEditor('<p>x</p>')]
        for (let i = rng.int(12); i > 0; i--) editRandomly(rng, two.editor)
        const wanted = clone(two.view.read({ pointer: '/document' }))
        one.view.apply([{ op: 'replace', path: '/document', value: wanted }])
        expect(one.view.read({ pointer: '/document' })).toEqual(wanted)
        expect(theirs(one.fragment)).toEqual(wanted)
        expect(one.editor.getText()).toBe(two.editor.getText())
        editRandomly(rng, one.editor)
        expect(one.view.read({ pointer: '/document' })).toEqual(theirs(one.fragment))
        one.editor.destroy()
        two.editor.destroy()
      }),
      { seed: 41, numRuns: runs(15) },
    )
  })
})

function editRandomly(rng: Rng, editor: Editor): void {
  try {
    commandRandomly(rng, editor)
  } catch (error) {
    // Some commands of ProseMirror throw at selections that no person makes; nothing has been dispatched then.
    if (!(error instanceof Error) || error.name !== 'TransformError') throw error
  }
}

function commandRandomly(rng: Rng, editor: Editor): void {
  const size = editor.state.doc.content.size
  // An editor's cursor never stands inside of a surrogate pair.
  const whole = (at: number): number =>
    isLow(editor.state.doc.textBetween(at, Math.min(size, at + 1))) ? at + 1 : at
  const from = whole(rng.int(size))
  const to = whole(Math.min(size, from + rng.int(12)))
  editor.commands.setTextSelection({ from, to })
  const chain = editor.chain()
  switch (rng.int(12)) {
    case 0:
    case 1:
    case 2:
      chain.insertContent(rng.pick(['x', 'word ', '🙂', '日本'])).run()
      break
    case 3:
      chain.deleteSelection().run()
      break
    case 4:
      chain.toggleBold().run()
      break
    case 5:
      chain.toggleItalic().run()
      break
    case 6:
      chain.splitBlock().run()
      break
    case 7:
      chain.toggleHeading({ level: rng.chance(0.5) ? 1 : 2 }).run()
      break
    case 8:
      chain.toggleBulletList().run()
      break
    case 9:
      chain.joinBackward().run()
      break
    case 10:
      chain.setHardBreak().run()
      break
    default:
      chain.toggleCode().run()
  }
}

function isLow(text: string): boolean {
  const code = text.charCodeAt(0)
  return code >= 0xdc00 && code <= 0xdfff
}

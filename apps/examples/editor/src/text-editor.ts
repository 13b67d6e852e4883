import { defaultKeymap } from '@codemirror/commands'
import { defineLanguageFacet, HighlightStyle, Language, syntaxHighlighting } from '@codemirror/language'
import { EditorState, type Extension } from '@codemirror/state'
import { drawSelection, EditorView, keymap, placeholder } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { parser } from '@lezer/markdown'
import { yCollab, yUndoManagerKeymap } from 'y-codemirror.next'
import type { Awareness } from 'y-protocols/awareness'
import * as Y from 'yjs'

/** The editor: CodeMirror on a root text of the document, with everybody's cursors. */
export function createTextEditor(
  parent: HTMLElement,
  text: Y.Text,
  awareness: Awareness,
  extensions: readonly Extension[],
): EditorView {
  const undoManager = new Y.UndoManager(text, { captureTimeout: 400 })
  const state = EditorState.create({
    doc: text.toJSON(),
    extensions: [
      // Tab stays the key that leaves the editor, as everywhere on a page.
      keymap.of([...yUndoManagerKeymap, ...defaultKeymap]),
      markdown,
      syntaxHighlighting(markdownStyle),
      EditorView.lineWrapping,
      drawSelection(),
      placeholder('Write something. Others see it as you type.'),
      EditorView.contentAttributes.of({ 'aria-label': 'Shared text', spellcheck: 'false' }),
      yCollab(text, awareness, { undoManager }),
      ...extensions,
    ],
  })
  return new EditorView({ parent, state })
}

// @codemirror/lang-markdown would bring the grammars of HTML, CSS and JavaScript along.
const markdown = new Language(defineLanguageFacet(), parser, [], 'markdown').extension

const markdownStyle = HighlightStyle.define([
  { tag: tags.heading1, class: 'md-h1' },
  { tag: tags.heading2, class: 'md-h2' },
  { tag: [tags.heading3, tags.heading4, tags.heading5, tags.heading6], class: 'md-h3' },
  { tag: tags.emphasis, class: 'md-em' },
  { tag: tags.strong, class: 'md-strong' },
  { tag: tags.monospace, class: 'md-code' },
  { tag: tags.link, class: 'md-link' },
  { tag: tags.url, class: 'md-mark' },
  { tag: tags.quote, class: 'md-quote' },
  { tag: tags.processingInstruction, class: 'md-mark' },
])

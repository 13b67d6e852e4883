import { StateEffect, StateField, type Extension } from '@codemirror/state'
import { Decoration, EditorView, ViewPlugin, WidgetType, type DecorationSet } from '@codemirror/view'
import type { Awareness } from 'y-protocols/awareness'
import type * as Y from 'yjs'

/** How long the agent's words stay marked after its last one. */
const fadeMs = 2_400

interface Trace {
  readonly from: number
  readonly to: number
}

/**
 * Marks what an agent has just written, and shows a cursor where it is. Agents write through the server, so their words
 * carry the id of a Yjs client that is nobody's window.
 */
export function agentTrace(text: Y.Text, awareness: Awareness, isSynced: () => boolean): Extension {
  const plugin = ViewPlugin.define((view) => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const observe = (event: Y.YTextEvent, transaction: Y.Transaction): void => {
      if (!isSynced() || !isByNobody(transaction, awareness)) return
      const traces = insertedRanges(event)
      if (traces.length === 0) return
      // The editor takes the same event first, or last: after this task it has, in any case.
      queueMicrotask(() => {
        view.dispatch({ effects: traces.map((trace) => leaveTrace.of(trace)) })
        clearTimeout(timer)
        timer = setTimeout(() => view.dispatch({ effects: clearTraces.of(null) }), fadeMs)
      })
    }
    text.observe(observe)
    return {
      destroy() {
        text.unobserve(observe)
        clearTimeout(timer)
      },
    }
  })
  return [traceField, plugin]
}

function isByNobody({ local, beforeState, afterState }: Y.Transaction, awareness: Awareness): boolean {
  if (local) return false
  const authors = [...afterState].filter(([client, clock]) => clock > (beforeState.get(client) ?? 0))
  return authors.length > 0 && authors.every(([client]) => !awareness.states.has(client))
}

function insertedRanges(event: Y.YTextEvent): Trace[] {
  const traces: Trace[] = []
  let at = 0
  for (const { retain, insert } of event.delta) {
    at += retain ?? 0
    if (typeof insert !== 'string') continue
    traces.push({ from: at, to: at + insert.length })
    at += insert.length
  }
  return traces
}

const leaveTrace = StateEffect.define<Trace>()
const clearTraces = StateEffect.define()

class AgentCaret extends WidgetType {
  override toDOM(): HTMLElement {
    const caret = document.createElement('span')
    caret.className = 'agent-caret'
    caret.setAttribute('aria-hidden', 'true')
    return caret
  }

  override eq(): boolean {
    return true
  }
}

interface Traces {
  readonly words: DecorationSet
  readonly caret: DecorationSet
}

const words = Decoration.mark({ class: 'agent-words' })
const caret = Decoration.widget({ widget: new AgentCaret(), side: 1 })
const noTraces: Traces = { words: Decoration.none, caret: Decoration.none }

const traceField = StateField.define<Traces>({
  create: () => noTraces,
  update(before, transaction) {
    const { changes, effects, newDoc } = transaction
    let traces: Traces = { words: before.words.map(changes), caret: before.caret.map(changes) }
    for (const effect of effects) {
      if (effect.is(clearTraces)) traces = noTraces
      if (!effect.is(leaveTrace)) continue
      const to = Math.min(effect.value.to, newDoc.length)
      const from = Math.min(effect.value.from, to)
      traces = {
        words: from < to ? traces.words.update({ add: [words.range(from, to)] }) : traces.words,
        caret: Decoration.set([caret.range(to)]),
      }
    }
    return traces
  },
  provide: (field) => [
    EditorView.decorations.from(field, (traces) => traces.words),
    EditorView.decorations.from(field, (traces) => traces.caret),
  ],
})

import type * as Y from 'yjs'
import { documentId } from '../greenhouse.ts'
import { byId, make } from './element.ts'

/** A message as it stands in the document; see docs/messages.md. */
interface Message {
  readonly id: string
  readonly role: string
  readonly content?: unknown
  readonly status: string
  readonly toolCalls?: readonly {
    readonly id: string
    readonly name: string
    readonly arguments: string
    readonly status: string
  }[]
}

/** The conversation with the adviser: what everybody asked, and its answers as they grow. */
export function bindTalk(doc: Y.Doc): void {
  const list = byId('messages', HTMLOListElement)
  const form = byId('ask', HTMLFormElement)
  const question = byId('question', HTMLInputElement)
  const stop = byId('stop', HTMLButtonElement)
  const messages = doc.getArray<Y.Map<unknown>>('polyphony:messages')
  const runs = doc.getMap<Y.Map<unknown>>('polyphony:runs')

  const render = (): void => {
    const shown = (messages.toJSON() as Message[]).filter(({ role }) => role !== 'tool')
    list.replaceChildren(...shown.map(bubbleOf))
    if (shown.length === 0) list.append(make('li', 'empty', 'Nobody has asked anything yet.'))
    list.scrollTop = list.scrollHeight
    stop.hidden = running() === undefined
  }
  const running = (): Y.Map<unknown> | undefined =>
    [...runs.values()].find((run) => run.get('status') === 'running')
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const content = question.value.trim()
    if (content === '') return
    question.value = ''
    void ask(content).catch((error: unknown) => form.append(make('p', 'hint', String(error))))
  })
  // Whoever may write may stop it; the gateway reads it from the document.
  stop.addEventListener('click', () => running()?.set('cancelRequested', true))
  messages.observeDeep(render)
  runs.observeDeep(render)
  render()
}

function bubbleOf({ role, content, status, toolCalls = [] }: Message): HTMLElement {
  const item = make('li', `${role === 'user' ? 'user' : 'agent'} ${status}`)
  for (const { name, arguments: text, status: state } of toolCalls) {
    const call = make('div', 'call', `${name} ${text} `)
    call.append(make('b', '', state))
    item.append(call)
  }
  if (typeof content === 'string') item.append(make('p', '', content))
  return item
}

/** Starts a run. What comes of it comes through the document, to everybody, so its own stream is not needed. */
async function ask(content: string): Promise<void> {
  const response = await fetch(`v1/documents/${documentId}/agents/adviser`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({
      threadId: documentId,
      runId: crypto.randomUUID(),
      messages: [{ id: crypto.randomUUID(), role: 'user', content }],
      tools: [],
      context: [],
    }),
  })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`The adviser is not available (${response.status}).`)
}

import './zod-without-eval.ts'
import { EditorView } from '@codemirror/view'
import * as Y from 'yjs'
import { bindAgentCard } from './agent-card.ts'
import { agentTrace } from './agent-trace.ts'
import { connect } from './connection.ts'
import { element } from './element.ts'
import { ensurePage } from './ensure-page.ts'
import { identify } from './identity.ts'
import { bindLivePane } from './live-pane.ts'
import { readPageAddress, shareLink } from './page-address.ts'
import { bindPeople } from './people.ts'
import { bindStatus } from './status.ts'
import { bindTaskList } from './task-list.ts'
import { createTextEditor } from './text-editor.ts'
import { bindTheme } from './theme.ts'

const address = readPageAddress(location)
bindTheme(localStorage)
const showStatus = bindStatus()
document.title = `${address.documentId} · Polyphony`
element('document-name', HTMLSpanElement).textContent = address.documentId
bindShare()

await untilReachable()
const doc = new Y.Doc()
const provider = connect(address, doc, showStatus)
provider.awareness.setLocalStateField('user', identify(sessionStorage))
const text = doc.getText('text')
const trace = agentTrace(text, provider.awareness, () => provider.synced)
const editor = createTextEditor(element('text', HTMLDivElement), text, provider.awareness, [
  trace,
  EditorView.theme({ '&.cm-focused': { outline: 'none' } }),
])
bindTaskList(doc)
let showPeople = (): void => undefined
const agent = bindAgentCard(address, doc, () => showPeople())
showPeople = bindPeople(provider.awareness, agent.isWorking)
void bindLivePane(address)

// For the curious: `polyphony.doc.toJSON()` in the console of the browser, and for the tests.
Object.assign(globalThis, { polyphony: { doc, editor, provider } })

/** The document must have its lists before the editors come; without the server, they wait. */
async function untilReachable(): Promise<void> {
  for (;;) {
    try {
      await ensurePage(address)
      return
    } catch {
      showStatus('connecting')
      await new Promise((resolve) => setTimeout(resolve, 1_000))
    }
  }
}

function bindShare(): void {
  const label = element('share-text', HTMLSpanElement)
  const copy = async (): Promise<void> => {
    const link = shareLink(address, location)
    try {
      await navigator.clipboard.writeText(link)
      label.textContent = 'Copied'
    } catch {
      // Browsers may keep the clipboard from us; the address is still there to be copied by hand.
      prompt('The address of this page', link)
    }
    setTimeout(() => (label.textContent = 'Copy link'), 1_600)
  }
  element('share', HTMLButtonElement).addEventListener('click', () => void copy())
}

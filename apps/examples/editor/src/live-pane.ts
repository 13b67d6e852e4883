import { documentUrl, type DocumentAddress } from '@polyphony/example-agent'
import { bindDeltaList } from './delta-list.ts'
import { element } from './element.ts'
import { bindStateView } from './state-view.ts'

/** What an agent sees of the document: its state, kept by the official AG-UI client, and the deltas that it gets. */
export async function bindLivePane(address: DocumentAddress): Promise<void> {
  bindTabs()
  element('raw', HTMLAnchorElement).href = documentUrl(address)
  const status = element('live-status', HTMLSpanElement)
  const showState = bindStateView()
  const deltas = bindDeltaList()
  const { watchDocument } = await import('@polyphony/example-agent')
  try {
    await watchDocument(
      address,
      {
        onSight: ({ state }) => {
          showState(state)
          deltas.note(state)
        },
        onEvent: deltas.add,
        onConnected: (connected) => (status.textContent = connected ? 'AG-UI, live' : 'AG-UI, reconnecting'),
      },
      new AbortController().signal,
    )
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error)
  }
}

function bindTabs(): void {
  const tabs = ['state', 'deltas'].map((name) => ({
    tab: element(`tab-${name}`, HTMLButtonElement),
    panel: element(`panel-${name}`, HTMLDivElement),
  }))
  const select = (chosen: number): void => {
    for (const [at, { tab, panel }] of tabs.entries()) {
      tab.setAttribute('aria-selected', String(at === chosen))
      tab.tabIndex = at === chosen ? 0 : -1
      panel.hidden = at !== chosen
    }
  }
  for (const [at, { tab }] of tabs.entries()) {
    tab.addEventListener('click', () => select(at))
    tab.addEventListener('keydown', ({ key }) => {
      if (key !== 'ArrowRight' && key !== 'ArrowLeft') return
      const next = (at + 1) % tabs.length
      select(next)
      tabs[next]?.tab.focus()
    })
  }
}

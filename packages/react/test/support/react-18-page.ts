import { openDocument } from '@polyphony/client'
import { StrictMode, createElement, version } from 'react'
import { createRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { PolyphonyProvider, useChange, useConnection, useSaved, useValue } from '../../src/index.ts'

/** What the test of React 18 runs: bundled with that version in the place of ours. */
export { version }

function Title() {
  const change = useChange()
  const { saved } = useSaved()
  const text = `${JSON.stringify(useValue('/title')) ?? ''} ${saved ? 'saved' : 'not saved'} ${useConnection()}`
  return createElement('button', { onClick: () => change([{ op: 'add', path: '/title', value: 'x' }]) }, text)
}

/** Renders into `container`; the returned function lets go of everything. */
export function start(url: string, container: HTMLElement): () => Promise<void> {
  const document = openDocument({ url, documentId: 'plan', store: 'memory' })
  const root = createRoot(container)
  root.render(
    createElement(StrictMode, null, createElement(PolyphonyProvider, { document }, createElement(Title))),
  )
  return async () => {
    root.unmount()
    await document.close()
  }
}

export function renderOnServer(): string {
  return renderToString(createElement(PolyphonyProvider, { document: undefined }, createElement(Title)))
}

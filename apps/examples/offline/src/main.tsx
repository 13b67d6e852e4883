import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import { keepShell } from './keep-shell.ts'

const root = document.getElementById('root')
if (root === null) throw new Error('The page has no element with the id "root".')
const parameters = new URLSearchParams(location.search)
createRoot(root).render(
  <StrictMode>
    <App documentId={parameters.get('document') ?? 'packing'} token={parameters.get('token') ?? undefined} />
  </StrictMode>,
)

// Without a service worker a reload needs the network, whatever the document does.
if ('serviceWorker' in navigator)
  keepShell().catch((error: unknown) => {
    console.warn('The page itself will not open without a network:', error)
  })

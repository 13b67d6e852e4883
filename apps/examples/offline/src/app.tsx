import { PolyphonyProvider, useOpenDocument } from '@polyphony/react'
import { useEffect, type ReactNode } from 'react'
import { PackingList } from './packing-list.tsx'
import { StatusCard } from './status-card.tsx'

export interface AppProps {
  readonly documentId: string
  readonly token?: string | undefined
}

/** The document, opened once for all that is on the page. */
export function App({ documentId, token }: AppProps): ReactNode {
  const document = useOpenDocument({
    url: location.origin,
    documentId,
    token,
    // With users who sign in, their id: whoever signs in next must not see what this one has kept here.
    principal: 'visitor',
  })
  useEffect(() => {
    Object.assign(globalThis, { polyphony: document })
  }, [document])
  return (
    <PolyphonyProvider document={document}>
      <main>
        <header>
          <h1>Packing list</h1>
          <p className="hint">
            Switch the network off, close the tab, open it again: it is all still here, and goes to the server
            when that is back.
          </p>
        </header>
        <StatusCard />
        <PackingList />
      </main>
    </PolyphonyProvider>
  )
}

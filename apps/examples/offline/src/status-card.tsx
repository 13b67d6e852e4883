import { useDocument, usePresence, useStatus } from '@polyphony/react'
import type { ReactNode } from 'react'
import { describeStatus } from './describe-status.ts'

/** How the document stands, and a switch to try it without a network. */
export function StatusCard(): ReactNode {
  const document = useDocument()
  const status = useStatus()
  const others = usePresence().clients.filter(({ isSelf }) => !isSelf).length
  const { tone, title, detail } = describeStatus(status)
  const isOffline = status.connection === 'offline'
  return (
    <section
      id="status"
      className="status"
      data-tone={tone}
      data-connection={status.connection}
      data-saved={status.saved}
      data-saved-locally={status.savedLocally}
      aria-live="polite"
    >
      <span className="lamp" aria-hidden="true" />
      <div className="words">
        <strong>{title}</strong>
        <span>{detail}</span>
      </div>
      <div className="facts">
        {status.pending > 0 && <span className="count">{status.pending} unsent</span>}
        {others > 0 && (
          <span className="count">{others === 1 ? '1 other here' : `${others} others here`}</span>
        )}
        <button
          type="button"
          id="network"
          aria-pressed={isOffline}
          onClick={() => (isOffline ? document?.connect() : document?.disconnect())}
        >
          {isOffline ? 'Go online' : 'Go offline'}
        </button>
      </div>
    </section>
  )
}

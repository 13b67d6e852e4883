// The stock client's way; `document-agent.ts` is ours. What it takes to follow a document without `PolyphonyAgent` is all here.
import { HttpAgent, type AgentSubscriber, type BaseEvent } from '@ag-ui/client'
import { authorizationOf, documentUrl, type DocumentAddress } from './document-address.ts'
import { lenientFetch } from './lenient-fetch.ts'
import { pause } from './pause.ts'

/** The state of a document, and the token to anchor a patch with that was made while looking at it. */
export interface Sight {
  readonly state: unknown
  readonly version: string
}

export interface WatchListeners {
  /** After the snapshot and after every delta. */
  readonly onSight?: (sight: Sight) => void
  /** Every AG-UI event as it comes in. */
  readonly onEvent?: (event: BaseEvent) => void
  /** Whether events are coming in; `false` while it waits to connect again. */
  readonly onConnected?: (connected: boolean) => void
}

const retryMsMin = 250
const retryMsMax = 5_000

/**
 * Follows a document until `signal` is aborted: watch runs of the official client, one after the other when a connection
 * breaks or an event is missing. Rejects when the server refuses for good (HTTP 4xx).
 */
export async function watchDocument(
  address: DocumentAddress,
  listeners: WatchListeners,
  signal: AbortSignal,
): Promise<void> {
  let retryMs = retryMsMin
  while (!signal.aborted) {
    const onSight = (sight: Sight): void => {
      retryMs = retryMsMin
      listeners.onConnected?.(true)
      listeners.onSight?.(sight)
    }
    try {
      await run(address, {}, { ...listeners, onSight }, signal)
    } catch (error) {
      if (isRefusal(error)) throw error
    }
    listeners.onConnected?.(false)
    await pause(retryMs, signal)
    retryMs = Math.min(retryMs * 2, retryMsMax)
  }
}

/** One run. Resolves when it is over, for whatever reason but a refusal. */
async function run(
  address: DocumentAddress,
  forwardedProps: Record<string, unknown>,
  listeners: WatchListeners,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return
  const agent = new HttpAgent({
    url: documentUrl(address, '/ag-ui'),
    headers: authorizationOf(address),
    fetch: lenientFetch,
  })
  const stop = (): void => agent.abortRun()
  signal.addEventListener('abort', stop)
  try {
    await agent.runAgent({ forwardedProps }, subscriber(listeners, stop))
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

interface Stamp {
  readonly version: string
  readonly previous: string | null
  readonly partial?: boolean
}

/**
 * Pairs states with versions. The official client only warns of a delta that it could not apply, and goes on with a state
 * that is wrong from then on; here such a run ends, and the next one starts with a snapshot.
 */
function subscriber({ onSight, onEvent }: WatchListeners, stop: () => void): AgentSubscriber {
  let version: string | undefined
  let arriving: Stamp | undefined
  const arrive = (metadata: unknown): void => {
    const stamp = stampOf(metadata)
    const isGap =
      arriving !== undefined || stamp === undefined || (stamp.previous !== null && stamp.previous !== version)
    if (isGap) stop()
    else arriving = stamp
  }
  return {
    onEvent: ({ event }) => onEvent?.(event),
    onStateSnapshotEvent: ({ event }) => arrive(event.metadata),
    onStateDeltaEvent: ({ event }) => arrive(event.metadata),
    onStateChanged: ({ state }) => {
      if (arriving === undefined) return
      const { version: reached, partial } = arriving
      arriving = undefined
      version = reached
      if (partial !== true) onSight?.({ state, version })
    },
  }
}

function stampOf(metadata: unknown): Stamp | undefined {
  if (typeof metadata !== 'object' || metadata === null || !('polyphony' in metadata)) return undefined
  const stamp = metadata.polyphony
  if (typeof stamp !== 'object' || stamp === null || !('version' in stamp)) return undefined
  const { version } = stamp
  const previous = 'previous' in stamp && typeof stamp.previous === 'string' ? stamp.previous : null
  const partial = 'partial' in stamp && stamp.partial === true
  return typeof version === 'string' ? { version, previous, partial } : undefined
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof Error &&
    'status' in error &&
    typeof error.status === 'number' &&
    error.status >= 400 &&
    error.status < 500 &&
    error.status !== 429
  )
}

import { HttpAgent, verifyEvents } from '@ag-ui/client'
import { HttpAgent as HttpAgent57, verifyEvents as verifyEvents57 } from 'ag-ui-client-0-0-57'
import { HttpAgent as HttpAgent59, verifyEvents as verifyEvents59 } from 'ag-ui-client-0-0-59'
import { from, lastValueFrom, toArray, type Observable } from 'rxjs'

/** What the tests use of an official agent, whichever its version. */
export interface OfficialAgent {
  state: unknown
  readonly headers: Record<string, string>
  subscribe(subscriber: {
    readonly onEvent?: (params: { event: AgentEvent }) => void
    readonly onStateChanged?: () => void
  }): { readonly unsubscribe: () => void }
  runAgent(parameters?: { runId?: string; forwardedProps?: unknown }): Promise<unknown>
  abortRun(): void
  /** Stops listening without telling the server. Only newer clients have it. */
  detachActiveRun?(): Promise<void>
}

export interface AgentEvent {
  readonly type: string
  readonly threadId?: string
  readonly runId?: string
  readonly snapshot?: unknown
  readonly delta?: readonly { readonly op: string; readonly path: string }[]
  readonly code?: string
  readonly name?: string
  readonly value?: unknown
  readonly protocolVersion?: string
  readonly metadata?: { readonly polyphony?: Stamp }
}

export interface Stamp {
  readonly documentId: string
  readonly version: string
  readonly previous: string | null
  readonly partial?: true
}

type AgentConfig = {
  url: string
  headers?: Record<string, string>
  initialState?: unknown
  threadId?: string
}
type AgentClass = new (config: AgentConfig) => OfficialAgent
type Verify = () => (source: Observable<AgentEvent>) => Observable<AgentEvent>

const clients = {
  '1.0.0': { Agent: HttpAgent, verify: verifyEvents },
  '0.0.59': { Agent: HttpAgent59, verify: verifyEvents59 },
  '0.0.57': { Agent: HttpAgent57, verify: verifyEvents57 },
} as const
export type ClientVersion = keyof typeof clients
export const clientVersions = Object.keys(clients) as ClientVersion[]

export function openAgent(version: ClientVersion, config: AgentConfig): OfficialAgent {
  const Agent = clients[version].Agent as unknown as AgentClass
  return new Agent(config)
}

/** The same agent with headers of its own, also those that the official client would not let its user set. */
export function withHeaders(agent: OfficialAgent, headers: Record<string, string>): OfficialAgent {
  const inner = agent as OfficialAgent & { requestInit(input: unknown): RequestInit }
  const requestInit = inner.requestInit.bind(inner)
  inner.requestInit = (input) => {
    const init = requestInit(input)
    return { ...init, headers: { ...(init.headers as Record<string, string>), ...headers } }
  }
  return agent
}

/** Rejects when the official verifier of any of the versions refuses the stream. */
export async function verifyStream(events: readonly AgentEvent[]): Promise<void> {
  for (const version of clientVersions) {
    const verify = clients[version].verify as unknown as Verify
    await lastValueFrom(verify()(from(events)).pipe(toArray()))
  }
}

/**
 * On a broken connection the official client leaves a rejection unhandled, which a test runner would take as its own.
 * Returns how to end that.
 */
export function ignoreStrayRejections(): () => Promise<void> {
  const listeners = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  const swallow = (): void => undefined
  process.on('unhandledRejection', swallow)
  return async () => {
    // Rejections are reported a turn after they happen.
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.off('unhandledRejection', swallow)
    for (const listener of listeners) process.on('unhandledRejection', listener)
  }
}

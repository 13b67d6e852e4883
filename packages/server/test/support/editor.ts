import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as WebsocketProvider1 } from 'y-websocket-1'
import { WebsocketProvider as WebsocketProvider2 } from 'y-websocket-2'
import { WebSocket } from 'ws'
import * as Y from 'yjs'

export const providers = {
  '1.5.4': WebsocketProvider1,
  '2.1.0': WebsocketProvider2,
  '3.1.0': WebsocketProvider,
} as const
export type ProviderVersion = keyof typeof providers

/** What the tests use of a stock provider, whichever its version. */
export interface StockProvider {
  readonly awareness: {
    setLocalState(state: Record<string, unknown> | null): void
    getStates(): Map<number, unknown>
    on(event: 'change', listener: () => void): void
  }
  readonly synced: boolean
  readonly wsconnected: boolean
  connect(): void
  disconnect(): void
  destroy(): void
  on(event: string, listener: (...args: never[]) => void): void
}

export interface Editor {
  readonly doc: Y.Doc
  readonly provider: StockProvider
  /** Every document and its provider must be closed, or the process stays. */
  close(): void
}

/** A stock provider on a document of its own. */
export function openEditor(
  url: string,
  documentId: string,
  options: {
    version?: ProviderVersion
    doc?: Y.Doc
    params?: Record<string, string>
    connect?: boolean
  } = {},
): Editor {
  const doc = options.doc ?? new Y.Doc()
  const Provider = providers[options.version ?? '3.1.0']
  const provider = new Provider(`${url.replace('http', 'ws')}/sync`, documentId, doc, {
    WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
    disableBc: true,
    connect: options.connect ?? true,
    params: options.params ?? {},
  }) as unknown as StockProvider
  return {
    doc,
    provider,
    close() {
      provider.destroy()
      doc.destroy()
    },
  }
}

/** Resolves when `condition` holds; rejects with `what` after `timeoutMs`. Looks again whenever the event loop turns. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !(await condition());) {
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export async function synced(...editors: readonly Editor[]): Promise<void> {
  await until('providers to be synced', () => editors.every(({ provider }) => provider.synced))
}

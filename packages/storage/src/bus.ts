import type { Unsubscribe } from './document-store.ts'

/** Lossy messages between nodes, for awareness: at most once, no order across topics, never stored. */
export interface Bus {
  publish(topic: string, message: Uint8Array): void
  subscribe(topic: string, listener: (message: Uint8Array) => void): Promise<Unsubscribe>
  close(): Promise<void>
}

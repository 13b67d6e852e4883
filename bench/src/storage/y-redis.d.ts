/** What the benchmark uses of y-redis, whose package names types that it does not export. */
declare module 'y-redis' {
  import type { Doc } from 'yjs'

  export interface PersistenceDoc {
    readonly synced: Promise<unknown>
    updateHandler(update: Uint8Array): void
  }

  export class RedisPersistence {
    constructor(options: { readonly redisOpts: { readonly host: string; readonly port: number } })
    readonly redis: { ping(): Promise<unknown> }
    bindState(name: string, doc: Doc): PersistenceDoc
    destroy(): Promise<void>
  }
}

import type { Doc } from 'yjs'

/** What the tests use of `y-redis` 1.0.3, whose types its package does not lead to. */
export interface RedisPersistence {
  readonly redis: {
    llen(key: string): Promise<number>
    set(key: string, value: string): Promise<unknown>
    rpush(key: string, value: string): Promise<unknown>
  }
  bindState(name: string, doc: Doc): { readonly synced: Promise<unknown> }
  destroy(): Promise<void>
}

/** Connects the real package to a Redis. */
export async function openRedisPersistence(url: string): Promise<RedisPersistence> {
  const name: string = 'y-redis'
  const { RedisPersistence } = (await import(/* @vite-ignore */ name)) as {
    RedisPersistence: new (options: { redisOpts: object }) => RedisPersistence
  }
  const { hostname, port } = new URL(url)
  return new RedisPersistence({ redisOpts: { host: hostname, port: Number(port) } })
}

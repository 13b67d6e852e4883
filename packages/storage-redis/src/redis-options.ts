import type { Clock, Logger, Random } from '@polyphony/core'
import type { RetentionPolicy } from '@polyphony/storage'

export interface SentinelOptions {
  /** The name that the Sentinels know the primary by. */
  readonly name: string
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  readonly password?: string | undefined
}

/** How to reach Redis, for the store and the bus. */
export interface RedisConnectionOptions {
  /** Begins every key and channel. Default `polyphony`. Several deployments can share a Redis under several prefixes. */
  readonly prefix?: string | undefined
  /** Asks Sentinels for the primary; the host and port of the address are not used then, all else of it is. */
  readonly sentinel?: SentinelOptions | undefined
  /** Certificates (PEM) of who may vouch for the server, for `rediss://`. Default: those that Node trusts. */
  readonly ca?: string | undefined
  /** Default 5,000. */
  readonly connectTimeoutMs?: number | undefined
  /**
   * How long a command may take; the append of a paused or unreachable server fails after it, and is written all the same
   * if the server then goes on. Default 10,000.
   */
  readonly commandTimeoutMs?: number | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  readonly logger?: Logger | undefined
}

export interface RedisStoreOptions extends RedisConnectionOptions {
  /** Accepts a server without an append-only file, whose documents end with its process. Default false. */
  readonly allowVolatile?: boolean | undefined
  /**
   * An append settles only after so many replicas have it too. Without so many, appends fail after the timeout, and then
   * at once until the replicas are back. Default: none.
   */
  readonly waitReplicas?: { readonly count: number; readonly timeoutMs: number } | undefined
  /** Default: see `defaultRetention`. */
  readonly retention?: RetentionPolicy | undefined
  /** How often subscriptions look by themselves, in case a notification was lost. Default 5,000. */
  readonly pollMs?: number | undefined
}

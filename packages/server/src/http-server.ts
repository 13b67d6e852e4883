import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock, Limits, Logger, PolyphonyError, Random, Telemetry } from '@polyphony/core'
import type { Authorize, Principal } from './authorization.ts'
import type { ConnectionCounter } from './connection-counter.ts'
import type { Documents } from './document-handle.ts'
import type { Metrics } from './metrics.ts'

/** Who wants a WebSocket. The Host and Origin of the request have been checked. */
export interface Upgrade {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
  /** Path and query, without the token. */
  readonly url: URL
  /**
   * Who it is, or why nobody: a refusal is for the handler to tell, because browsers show their scripts the close code
   * of a WebSocket but not the status of a refused upgrade.
   */
  readonly admission: { readonly principal: Principal } | { readonly refusal: PolyphonyError }
}

export interface HttpServerOptions {
  readonly documents: Documents
  /** Default `loopbackOnly()`. */
  readonly authorize?: Authorize | undefined
  /**
   * Names that a `Host` header may have, without port; or `loopback`, or `any`. Default: `loopback` without
   * `authorize`, so that no foreign name can be rebound to this server, otherwise `any`.
   */
  readonly hosts?: 'any' | 'loopback' | readonly string[] | undefined
  /** Origins that pages of other sites may have, as `https://app.example`; `*` for all. Default: none. */
  readonly origins?: readonly string[] | undefined
  readonly limits?: Limits | undefined
  readonly logger?: Logger | undefined
  /** Default: its own. Its `telemetry` is what all parts of the server should report to. */
  readonly metrics?: Metrics | undefined
  readonly telemetry?: Telemetry | undefined
  /** Shared with whoever takes the upgrades. Default: its own. */
  readonly connections?: ConnectionCounter | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** Takes WebSocket upgrades over. Absent: they are refused. */
  readonly upgrade?: ((upgrade: Upgrade) => void) | undefined
  /** Whether the store answers. Rejecting, or taking over two seconds, makes `/readyz` answer 503. */
  readonly checkReady?: (() => Promise<void>) | undefined
  /** A directory of static files, served at `/`. */
  readonly site?: string | undefined
}

export interface HttpServer {
  /** Resolves once it listens. `port` 0: any free port. Rejects when the address cannot be bound. */
  listen(address: {
    readonly host: string
    readonly port: number
  }): Promise<{ readonly url: string; readonly port: number }>
  /**
   * Stops accepting, answers `/readyz` with 503, ends feeds properly, lets requests finish, and cuts what is left when
   * `deadlineMs` have passed. Call it before closing the documents. Calling it twice is harmless.
   */
  close(deadlineMs: number): Promise<void>
}

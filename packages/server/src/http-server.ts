import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FeedOptions } from '@polyphony/ag-ui'
import {
  PolyphonyError,
  resolveLimits,
  silentLogger,
  systemClock,
  systemRandom,
  toPolyphonyError,
  type Clock,
  type Limits,
  type Logger,
  type Random,
  type Telemetry,
} from '@polyphony/core'
import type { AgentOptions } from './agent-options.ts'
import { loopbackOnly, type Authorize, type Principal } from './authorization.ts'
import { ConnectionCounter } from './connection-counter.ts'
import type { Documents } from './document-handle.ts'
import { HttpFaces } from './http-faces.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { problemOf } from './problem.ts'

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
  /** What `/metrics` shows. Default: its own. */
  readonly metrics?: Metrics | undefined
  /** Default: that of `metrics`. */
  readonly telemetry?: Telemetry | undefined
  /** Shared with whoever takes the upgrades. Default: its own. */
  readonly connections?: ConnectionCounter | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** How feeds flush and repeat snapshots. */
  readonly feed?: Partial<FeedOptions> | undefined
  /** Silence after which a feed sends a comment. Default 15,000. */
  readonly keepAliveMs?: number | undefined
  /** Takes WebSocket upgrades over. Absent: they are refused. */
  readonly upgrade?: ((upgrade: Upgrade) => void) | undefined
  /** Whether the store answers. Rejecting, or taking over two seconds, makes `/readyz` answer 503. */
  readonly checkReady?: (() => Promise<void>) | undefined
  /** The upstream agents that may be run in documents, by name. Default: none. */
  readonly agents?: Readonly<Record<string, AgentOptions>> | undefined
  /** A directory of static files, served at `/`. */
  readonly site?: string | undefined
}

type Defaulted =
  | 'authorize'
  | 'hosts'
  | 'limits'
  | 'logger'
  | 'metrics'
  | 'telemetry'
  | 'connections'
  | 'clock'
  | 'random'

/** The options with the defaults filled in. */
export type HttpServerParts = HttpServerOptions & {
  readonly [Name in Defaulted]-?: NonNullable<HttpServerOptions[Name]>
} & { readonly isClosing: () => boolean }

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

/** Connections beyond those that are counted: requests that come and go. */
const spareConnections = 1_000

/** The HTTP side of a server, on `node:http`: REST, events, AG-UI, health, metrics, a static site; upgrades go elsewhere. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const limits = options.limits ?? resolveLimits()
  const logger = options.logger ?? silentLogger
  const metrics = options.metrics ?? createMetrics({ logger })
  let closing: Promise<void> | undefined
  const faces = new HttpFaces({
    ...options,
    limits,
    logger,
    metrics,
    authorize: options.authorize ?? loopbackOnly(),
    hosts: options.hosts ?? (options.authorize === undefined ? 'loopback' : 'any'),
    telemetry: options.telemetry ?? metrics.telemetry,
    connections: options.connections ?? new ConnectionCounter(limits),
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
    isClosing: () => closing !== undefined,
  })
  const server = createServer(
    {
      maxHeaderSize: 16 << 10,
      // A client that dribbles its request must not hold a connection for long.
      headersTimeout: 10_000,
      requestTimeout: 120_000,
      keepAliveTimeout: 60_000,
      connectionsCheckingInterval: 5_000,
    },
    (request, response) => {
      running.add(response)
      response.once('close', () => running.delete(response))
      void faces.answer(request, response)
    },
  )
  const running = new Set<ServerResponse>()
  server.maxConnections = limits.connectionsMax + spareConnections
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      server.emit('connection', withoutUpgrade(request, socket, head))
      return
    }
    socket.on('error', (error) => logger.debug({ error: error.message }, 'socket of an upgrade failed'))
    faces.upgrade(request, socket, head).catch((error: unknown) => refuseUpgrade(socket, error))
  })
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return
    const status =
      error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
    endRaw(
      socket,
      status,
      new PolyphonyError('invalid-request', 'The request is not HTTP that can be understood.'),
    )
  })

  const close = async (deadlineMs: number): Promise<void> => {
    server.close()
    server.closeIdleConnections()
    const stopped = faces.stop()
    const answered = Promise.all([
      stopped,
      ...[...running].map((response) => new Promise((resolve) => response.once('close', resolve))),
    ])
    let cancel = (): void => undefined
    const deadline = new Promise<void>((resolve) => {
      cancel = (options.clock ?? systemClock).after(deadlineMs, resolve)
    })
    await Promise.race([answered, deadline])
    cancel()
    server.closeAllConnections()
  }

  return {
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, () => {
          server.off('error', reject)
          server.on('error', (error) => logger.error({ error: error.message }, 'HTTP server failed'))
          const address = server.address()
          const bound = typeof address === 'object' && address !== null ? address.port : port
          resolve({ url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`, port: bound })
        })
      }),
    close: (deadlineMs) => {
      closing ??= Promise.resolve().then(() => close(deadlineMs))
      return closing
    },
  }
}

/**
 * Some clients offer HTTP/2 with every request (Java's by default), which a server is free to ignore. Node takes any
 * offer for an upgrade, so the request is put back on the socket without it, to be read as what it is.
 */
function withoutUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Duplex {
  const lines = [`${request.method} ${request.url} HTTP/1.1`]
  for (let at = 0; at + 1 < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? ''
    if (!/^(upgrade|connection|http2-settings)$/i.test(name))
      lines.push(`${name}: ${request.rawHeaders[at + 1]}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  return socket
}

function refuseUpgrade(socket: Duplex, thrown: unknown): void {
  const error = toPolyphonyError(thrown)
  endRaw(socket, `${error.status} Refused`, error)
}

/** An answer on a socket that has no response object. */
function endRaw(socket: Duplex, status: string, error: PolyphonyError): void {
  const { body, headers } = problemOf(error)
  const lines = Object.entries({
    ...headers,
    connection: 'close',
    'content-length': String(Buffer.byteLength(body)),
  })
  socket.end(
    `HTTP/1.1 ${status}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
  )
  socket.once('finish', () => socket.destroy())
}

import {
  resolveLimits,
  silentLogger,
  systemClock,
  systemRandom,
  type Clock,
  type Limits,
  type Logger,
  type Random,
} from '@polyphony/core'
import { observed, type Bus, type DocumentStore } from '@polyphony/storage'
import type { JsonViewOptions } from '@polyphony/translator'
import type { AgentOptions } from './agent-options.ts'
import type { Authorize } from './authorization.ts'
import type { CheckpointPolicy } from './checkpointer.ts'
import { ConnectionCounter } from './connection-counter.ts'
import type { Documents } from './document-handle.ts'
import { createHttpServer } from './http-server.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { Rooms } from './rooms.ts'
import { WorkerCompactor } from './worker-compactor.ts'
import { YWebsocketFace } from './y-websocket-face.ts'

export interface PolyphonyServerOptions {
  /** Closed with the server. One that is shared makes this server a node among those that open the same. */
  readonly store: DocumentStore
  /** Brings presence from other nodes, and takes it to them; closed with the server. Default: presence stays here. */
  readonly bus?: Bus | undefined
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined
  /** Default 4400; 0 = any free port. */
  readonly port?: number | undefined
  /** Who may do what. Default: everything from this machine, nothing from elsewhere. */
  readonly authorize?: Authorize | undefined
  /** Names that a `Host` header may have; see `HttpServerOptions`. */
  readonly hosts?: 'any' | 'loopback' | readonly string[] | undefined
  /** Origins that pages of other sites may have. Default: none but the server's own. */
  readonly origins?: readonly string[] | undefined
  readonly limits?: Limits | undefined
  /** When the log of a document becomes a checkpoint. Default: `defaultCheckpointPolicy`. */
  readonly checkpoints?: CheckpointPolicy | undefined
  readonly logger?: Logger | undefined
  readonly metrics?: Metrics | undefined
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** How a document appears as JSON. Default: the root map `state`, every other root under its name. */
  readonly projection?: ((documentId: string) => JsonViewOptions) | undefined
  /** The upstream agents that may be run in documents, by name. Default: none. */
  readonly agents?: Readonly<Record<string, AgentOptions>> | undefined
  /** A directory of static files, served at `/`. */
  readonly site?: string | undefined
}

export interface PolyphonyServer {
  readonly url: string
  readonly port: number
  /** The documents, for services in the same process. */
  readonly documents: Documents
  readonly metrics: Metrics
  /**
   * Stops accepting, stores what has come in, ends sessions and feeds with their proper codes, and closes the store.
   * Resolves with whether everything was stored within `deadlineMs` (default 10,000).
   */
  close(deadlineMs?: number): Promise<boolean>
}

/** A whole server: rooms over a store, with the y-websocket, REST, events and AG-UI faces. Resolves once it listens. */
export async function createPolyphonyServer(options: PolyphonyServerOptions): Promise<PolyphonyServer> {
  const { authorize, hosts, origins, site, agents } = options
  const limits = options.limits ?? resolveLimits()
  const logger = options.logger ?? silentLogger
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const metrics = options.metrics ?? createMetrics()
  const { telemetry } = metrics
  const store = observed(options.store, { telemetry, clock })
  for (const [name, value] of Object.entries(limits)) telemetry.gauge('polyphony_limit', value, { name })
  const connections = new ConnectionCounter(limits)
  const rooms = new Rooms({
    store,
    bus: options.bus,
    compactor: new WorkerCompactor({ memoryBytesMax: limits.compactionMemoryBytesMax }),
    clock,
    random,
    limits,
    checkpoints: options.checkpoints,
    logger,
    telemetry,
    projection: options.projection ?? (() => ({})),
  })
  const face = new YWebsocketFace({ rooms, limits, connections, clock, logger, telemetry })
  const http = createHttpServer({
    documents: rooms,
    authorize,
    hosts,
    origins,
    limits,
    logger,
    metrics,
    connections,
    clock,
    random,
    site,
    agents,
    upgrade: (upgrade) => face.accept(upgrade),
    checkReady: () => rooms.checkReady(),
  })
  const { url, port } = await http.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 4400 })
  let closing: Promise<boolean> | undefined
  const close = async (deadlineMs: number): Promise<boolean> => {
    const deadline = clock.now() + deadlineMs
    face.stop()
    await http.close(deadlineMs / 2)
    const stored = await rooms.close(Math.max(0, deadline - clock.now()))
    await face.close()
    await options.bus?.close()
    await store.close()
    return stored
  }
  return {
    url,
    port,
    documents: rooms,
    metrics,
    close: (deadlineMs = 10_000) => (closing ??= close(deadlineMs)),
  }
}

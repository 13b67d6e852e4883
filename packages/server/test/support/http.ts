import { resolveLimits, systemClock, systemRandom, type LimitName, type Logger } from '@polyphony/core'
import { MemoryStore, type DocumentStore } from '@polyphony/storage'
import type { JsonViewOptions } from '@polyphony/translator'
import { ConnectionCounter } from '../../src/connection-counter.ts'
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../src/http-server.ts'
import { createMetrics, type Metrics } from '../../src/metrics.ts'
import { Rooms } from '../../src/rooms.ts'
import { WorkerCompactor } from '../../src/worker-compactor.ts'
import { YWebsocketFace } from '../../src/y-websocket-face.ts'

export interface TestServer {
  readonly url: string
  readonly rooms: Rooms
  readonly http: HttpServer
  readonly metrics: Metrics
  /** Everything that was logged, as JSON lines. */
  readonly logs: string[]
  /** The address of a document, or of something below it. */
  address(documentId: string, below?: string): string
  close(): Promise<void>
}

export interface TestServerOptions extends Omit<HttpServerOptions, 'documents' | 'limits' | 'upgrade'> {
  readonly store?: DocumentStore
  readonly limits?: Partial<Record<LimitName, number>>
  readonly projection?: JsonViewOptions
  /** Default: any free one. */
  readonly port?: number
}

/** A whole server on loopback with everything real, and the knobs that tests turn. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { store = new MemoryStore(), projection = {}, port = 0, ...rest } = options
  const limits = resolveLimits(options.limits)
  const logs: string[] = []
  const log = (fields: Readonly<Record<string, unknown>>, message: string): void =>
    void logs.push(JSON.stringify({ ...fields, message }))
  const logger: Logger = { debug: log, info: log, warn: log, error: log }
  const metrics = createMetrics({ logger, process: false })
  const { telemetry } = metrics
  const connections = new ConnectionCounter(limits)
  const rooms = new Rooms({
    store,
    compactor: new WorkerCompactor({ memoryBytesMax: resolveLimits().compactionMemoryBytesMax }),
    clock: systemClock,
    random: systemRandom,
    limits,
    logger,
    telemetry,
    projection: () => projection,
  })
  const face = new YWebsocketFace({ rooms, clock: systemClock, limits, connections, logger, telemetry })
  const http = createHttpServer({
    logger,
    metrics,
    connections,
    checkReady: () => rooms.checkReady(),
    ...rest,
    documents: rooms,
    limits,
    upgrade: (upgrade) => face.accept(upgrade),
  })
  const { url } = await http.listen({ host: '127.0.0.1', port })
  return {
    url,
    rooms,
    http,
    metrics,
    logs,
    address: (documentId, below = '') => `${url}/v1/documents/${encodeURIComponent(documentId)}${below}`,
    async close() {
      face.stop()
      await http.close(1_000)
      await rooms.close(1_000)
      await face.close()
      await store.close()
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  /** The body as JSON where it is JSON, as text otherwise. */
  readonly body: unknown
  /** The token to anchor the next patch with. */
  readonly version: string
}

/** One request; `json` and `patch` set body and media type. */
export async function send(
  method: string,
  address: string,
  options: {
    readonly json?: unknown
    readonly patch?: unknown
    readonly body?: string | Uint8Array
    readonly type?: string
    readonly headers?: Record<string, string>
  } = {},
): Promise<Answer> {
  const { json, patch, body, type, headers = {} } = options
  const media =
    type ??
    (json !== undefined
      ? 'application/json'
      : patch !== undefined
        ? 'application/json-patch+json'
        : undefined)
  const value = json ?? patch
  const payload = body ?? (value === undefined ? undefined : JSON.stringify(value))
  const response = await fetch(address, {
    method,
    headers: { ...(media === undefined ? {} : { 'content-type': media }), ...headers },
    ...(payload === undefined ? {} : { body: payload as BodyInit }),
  })
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== ''
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? (JSON.parse(text) as unknown) : text,
    version: response.headers.get('polyphony-version') ?? '',
  }
}

import {
  PolyphonyError,
  parseDocumentId,
  toPolyphonyError,
  type Clock,
  type Limits,
  type Logger,
  type Telemetry,
} from '@polyphony/core'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Principal } from './authorization.ts'
import type { ConnectionCounter } from './connection-counter.ts'
import type { Upgrade } from './http-server.ts'
import { requireWhole } from './pointer-scope.ts'
import type { Rooms } from './rooms.ts'
import { cutLater, SocketLiveness } from './socket-liveness.ts'
import { YWebsocketSession } from './y-websocket-session.ts'

export interface YWebsocketFaceOptions {
  readonly rooms: Rooms
  readonly limits: Limits
  readonly connections: ConnectionCounter
  readonly clock: Clock
  readonly logger: Logger
  readonly telemetry: Telemetry
}

const measureMs = 1_000
const closeGraceMs = 2_000
/** The longest delay that a Node timer takes. */
const timerMsMax = 2 ** 31 - 1
const face = { face: 'y-websocket' }

/** Binds `ws` to sessions: `/sync/{document}`, and `/{document}` for clients of a plain y-websocket server. */
export class YWebsocketFace {
  readonly #options: YWebsocketFaceOptions
  readonly #server: WebSocketServer
  readonly #liveness: SocketLiveness
  readonly #timer: NodeJS.Timeout
  #sentBytes = 0
  #receivedBytes = 0
  #stopped = false

  constructor(options: YWebsocketFaceOptions) {
    this.#options = options
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: options.limits.stepTwoBytesMax,
      perMessageDeflate: false,
      clientTracking: true,
    })
    this.#liveness = new SocketLiveness(this.#server)
    this.#timer = setInterval(() => this.#measure(), measureMs)
    this.#timer.unref()
  }

  /** Takes an upgrade over. A refusal becomes a close code, which a browser shows its scripts, unlike an HTTP status. */
  accept(upgrade: Upgrade): void {
    this.#server.handleUpgrade(upgrade.request, upgrade.socket, upgrade.head, (webSocket) => {
      webSocket.on('error', (error) =>
        this.#options.logger.debug({ error: error.message }, 'WebSocket error'),
      )
      // Nothing is read before the room is there: what the client says meanwhile waits in the socket.
      webSocket.pause()
      this.#admit(webSocket, upgrade).catch((error: unknown) => this.#refuse(webSocket, error))
    })
  }

  /** Stops listening to clients: what they send from now on stays theirs to send again. */
  stop(): void {
    this.#stopped = true
    this.#liveness.stop()
    clearInterval(this.#timer)
    this.#measure()
    for (const webSocket of this.#server.clients) webSocket.pause()
  }

  /** Ends what is still connected. Rooms that closed have said goodbye to their sessions already. */
  async close(): Promise<void> {
    this.stop()
    for (const webSocket of this.#server.clients) {
      webSocket.resume()
      if (webSocket.readyState === webSocket.OPEN) webSocket.close(1012, 'shutting-down')
    }
    const gone = [...this.#server.clients].map(
      (webSocket) => new Promise((resolve) => webSocket.once('close', resolve)),
    )
    const cut = setTimeout(() => {
      for (const webSocket of this.#server.clients) webSocket.terminate()
    }, closeGraceMs)
    await Promise.all(gone)
    clearTimeout(cut)
    this.#server.close()
  }

  async #admit(webSocket: WebSocket, { url, admission }: Upgrade): Promise<void> {
    const { rooms, limits, connections, logger, telemetry } = this.#options
    if ('refusal' in admission) throw admission.refusal
    const documentId = documentIdOf(url)
    const { principal } = admission
    const readOnly = accessOf(principal, documentId) === 'read'
    requireWhole(principal, documentId, 'A Yjs session')
    const release = connections.acquire(documentId)
    webSocket.once('close', release)
    const { room, leave } = await rooms.enter(documentId)
    if (webSocket.readyState !== webSocket.OPEN || this.#stopped) {
      leave()
      return
    }
    const socket = {
      send: (message: Uint8Array, written?: () => void): void => {
        this.#sentBytes += message.length
        webSocket.send(message, written === undefined ? undefined : (error) => void (error ?? written()))
      },
      close: (code: number, reason: string): void => {
        webSocket.close(code, reason)
        cutLater(webSocket)
      },
      get bufferedBytes(): number {
        return webSocket.bufferedAmount
      },
    }
    const session = new YWebsocketSession({
      room,
      socket,
      authorship: { author: principal.id },
      readOnly,
      limits,
      logger,
    })
    telemetry.gauge('polyphony_connections', 1, face)
    telemetry.count('polyphony_connections_total', 1, face)
    webSocket.on('message', (data, isBinary) => {
      // Text frames are no part of the protocol; stock clients never send them.
      if (!isBinary || this.#stopped) return
      const frame = bytesOf(data)
      this.#receivedBytes += frame.length
      session.receive(frame)
    })
    const stayed = this.#endWithToken(principal, session, documentId)
    webSocket.once('close', () => {
      stayed()
      session.end()
      leave()
      telemetry.gauge('polyphony_connections', -1, face)
    })
    this.#liveness.watch(webSocket)
    try {
      session.start()
    } finally {
      webSocket.resume()
    }
  }

  /** A session lasts no longer than what its principal may do. */
  #endWithToken(principal: Principal, session: YWebsocketSession, documentId: string): () => void {
    const { clock } = this.#options
    if (principal.expiresAtMs === undefined) return () => undefined
    const leftMs = Math.min(Math.max(0, principal.expiresAtMs - clock.now()), timerMsMax)
    return clock.after(leftMs, () =>
      session.close(
        new PolyphonyError('unauthorized', 'The token has expired; connect again with a new one.', {
          documentId,
        }),
      ),
    )
  }

  /** Counting each frame of a broadcast by itself would cost about as much as sending it. */
  #measure(): void {
    const { telemetry } = this.#options
    telemetry.count('polyphony_sent_bytes_total', this.#sentBytes, face)
    telemetry.count('polyphony_received_bytes_total', this.#receivedBytes, face)
    this.#sentBytes = 0
    this.#receivedBytes = 0
  }

  #refuse(webSocket: WebSocket, cause: unknown): void {
    const error = toPolyphonyError(cause)
    this.#options.telemetry.count('polyphony_errors_total', 1, { ...face, code: error.code })
    const log = error.code === 'internal' ? 'error' : 'info'
    this.#options.logger[log](
      { code: error.code, documentId: error.details.documentId, error: error.message },
      'WebSocket refused',
    )
    webSocket.resume()
    webSocket.close(error.close, error.code)
    cutLater(webSocket)
  }
}

/** Slashes stand for themselves in a WebSocket path; everything is decoded once. */
function documentIdOf(url: URL): string {
  const path = url.pathname.startsWith('/sync/') ? url.pathname.slice('/sync/'.length) : url.pathname.slice(1)
  let documentId: string
  try {
    documentId = decodeURIComponent(path)
  } catch (cause) {
    throw new PolyphonyError(
      'invalid-document-id',
      'The document id in the address is not valid percent-encoding.',
      { cause },
    )
  }
  return parseDocumentId(documentId)
}

function accessOf(principal: Principal, documentId: string): 'read' | 'write' {
  const access = principal.access(documentId)
  if (access === 'none')
    throw new PolyphonyError('forbidden', `The token does not grant access to "${documentId}".`, {
      documentId,
    })
  return access
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

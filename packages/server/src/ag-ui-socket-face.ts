import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { encodeRunError } from '@polyphony/ag-ui'
import {
  PolyphonyError,
  toPolyphonyError,
  type Clock,
  type Limits,
  type Logger,
  type Telemetry,
} from '@polyphony/core'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import { prepareRun, type RunContext } from './ag-ui-face.ts'
import { requireAccess, requireUnexpired, type Principal } from './authorization.ts'
import type { Documents } from './document-handle.ts'
import type { FeedOutlet } from './feed-outlet.ts'
import type { FeedStreams } from './feed-streams.ts'
import { parseJson } from './json-guard.ts'
import { cutLater, SocketLiveness } from './socket-liveness.ts'
import { SocketOutlet } from './socket-outlet.ts'

export interface AgUiSocketFaceOptions {
  readonly streams: FeedStreams
  readonly documents: Documents
  readonly clock: Clock
  readonly limits: Limits
  readonly logger: Logger
  readonly telemetry: Telemetry
}

export interface AgUiSocketRequest {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
  readonly documentId: string
  readonly admission: { readonly principal: Principal } | { readonly refusal: PolyphonyError }
}

/** How long a connection may be without a run. */
const idleMs = 30_000
const face = { face: 'ag-ui-websocket' }

/**
 * AG-UI on a WebSocket, one JSON text per frame:
 *
 *   client                      server
 *     RunAgentInput        →
 *                          ←    RUN_STARTED, STATE_SNAPSHOT, STATE_DELTA …, RUN_FINISHED
 *     RunAgentInput        →    (another run, once the one before has finished)
 *                          ←    …
 *
 * A run that goes wrong ends with RUN_ERROR, and the connection with the close code of the error. So an end without
 * RUN_FINISHED or RUN_ERROR is a broken connection.
 */
export class AgUiSocketFace {
  readonly #options: AgUiSocketFaceOptions
  readonly #server: WebSocketServer
  readonly #liveness: SocketLiveness

  constructor(options: AgUiSocketFaceOptions) {
    this.#options = options
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: options.limits.bodyBytesMax,
      perMessageDeflate: false,
      clientTracking: true,
    })
    this.#liveness = new SocketLiveness(this.#server)
  }

  accept({ request, socket, head, documentId, admission }: AgUiSocketRequest): void {
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', (error) =>
        this.#options.logger.debug({ documentId, error: error.message }, 'WebSocket error'),
      )
      this.#liveness.watch(webSocket)
      try {
        if ('refusal' in admission) throw admission.refusal
        requireAccess(admission.principal, documentId, 'read')
        this.#converse(webSocket, documentId, admission.principal)
      } catch (error) {
        this.#refuse(webSocket, error)
      }
    })
  }

  /** Ends connections that are without a run; the runs are ended by their feeds. */
  stop(): void {
    this.#liveness.stop()
    for (const webSocket of this.#server.clients) {
      webSocket.close(1012, 'shutting-down')
      cutLater(webSocket)
    }
    this.#server.close()
  }

  #converse(webSocket: WebSocket, documentId: string, principal: Principal): void {
    const { documents, clock, limits, telemetry } = this.#options
    const context: RunContext = { principal, documents, limits, clock }
    let isRunning = false
    let cancelIdle: () => void = () => undefined
    const awaitInput = (): void => {
      cancelIdle = clock.after(idleMs, () => webSocket.close(1000, 'idle'))
    }
    telemetry.gauge('polyphony_connections', 1, face)
    telemetry.count('polyphony_connections_total', 1, face)
    webSocket.once('close', () => {
      cancelIdle()
      telemetry.gauge('polyphony_connections', -1, face)
    })
    webSocket.on('message', (data, isBinary) => {
      cancelIdle()
      // Frames that were under way when the connection was refused are not looked at.
      if (webSocket.readyState !== webSocket.OPEN) return
      if (isBinary || isRunning) {
        this.#refuse(webSocket, unexpected(isBinary))
        return
      }
      isRunning = true
      this.#run(webSocket, documentId, context, bytesOf(data)).then(
        () => {
          isRunning = false
          if (webSocket.readyState === webSocket.OPEN) awaitInput()
        },
        (error: unknown) => this.#refuse(webSocket, error),
      )
    })
    awaitInput()
  }

  async #run(
    webSocket: WebSocket,
    documentId: string,
    context: RunContext,
    input: Uint8Array,
  ): Promise<void> {
    const { streams, clock, limits, telemetry } = this.#options
    requireUnexpired(context.principal, clock.now())
    const run = await prepareRun(context, documentId, parseJson(input, limits))
    let failure: PolyphonyError | undefined
    let finished = (): void => undefined
    const over = new Promise<void>((resolve) => {
      finished = resolve
      webSocket.once('close', resolve)
    })
    const open = (onDrain: () => void): FeedOutlet =>
      new SocketOutlet({
        webSocket,
        clock,
        telemetry,
        ...face,
        stallMs: limits.feedStallMs,
        onDrain,
        onEnd: finished,
        onStall: () => webSocket.terminate(),
      })
    await streams.carry(
      {
        principal: context.principal,
        over,
        isGone: () => webSocket.readyState !== webSocket.OPEN,
        open,
      },
      {
        ...run,
        face: 'ag-ui-websocket',
        failing: (error) => {
          failure = error
          return run.failing(error)
        },
      },
    )
    webSocket.off('close', finished)
    if (failure !== undefined) this.#close(webSocket, failure)
  }

  /** What goes wrong outside of a run is told by a RUN_ERROR of its own, as the protocol allows, and the close code. */
  #refuse(webSocket: WebSocket, cause: unknown): void {
    const error = toPolyphonyError(cause)
    const { telemetry, logger } = this.#options
    telemetry.count('polyphony_errors_total', 1, { ...face, code: error.code })
    const log = error.code === 'internal' ? 'error' : 'info'
    logger[log]({ code: error.code, error: error.message, ...error.details.extra }, 'run refused')
    if (webSocket.readyState === webSocket.OPEN) webSocket.send(encodeRunError(error))
    this.#close(webSocket, error)
  }

  #close(webSocket: WebSocket, error: PolyphonyError): void {
    if (webSocket.readyState !== webSocket.OPEN) return
    webSocket.close(error.close, error.code)
    cutLater(webSocket)
  }
}

function unexpected(isBinary: boolean): PolyphonyError {
  return new PolyphonyError(
    'invalid-frame',
    isBinary
      ? 'A RunAgentInput is sent as a text frame.'
      : 'One run at a time: open another connection, or wait for RUN_FINISHED.',
  )
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}

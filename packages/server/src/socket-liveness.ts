import type { WebSocket, WebSocketServer } from 'ws'

const pingMs = 30_000
const closeGraceMs = 2_000

/** Ends connections whose peer has silently gone; answering pings also keeps proxies from closing quiet ones. */
export class SocketLiveness {
  readonly #alive = new WeakSet<WebSocket>()
  readonly #timer: NodeJS.Timeout

  constructor(server: WebSocketServer) {
    this.#timer = setInterval(() => {
      for (const webSocket of server.clients) {
        if (!this.#alive.delete(webSocket)) webSocket.terminate()
        else webSocket.ping()
      }
    }, pingMs)
    this.#timer.unref()
  }

  /** To be called with each connection. */
  watch(webSocket: WebSocket): void {
    const note = (): void => void this.#alive.add(webSocket)
    note()
    webSocket.on('message', note)
    webSocket.on('pong', note)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

/** A peer that does not answer a close frame must not keep its connection. */
export function cutLater(webSocket: WebSocket): void {
  const timer = setTimeout(() => webSocket.terminate(), closeGraceMs)
  timer.unref()
  webSocket.once('close', () => clearTimeout(timer))
}

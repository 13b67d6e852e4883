import type { SessionSocket } from '../../src/y-websocket-session.ts'

export type ToClient =
  | { readonly frame: Uint8Array }
  | { readonly closed: { readonly code: number; readonly reason: string } }

/** A connection in memory: frames wait in order until the simulation delivers them. */
export class Wire {
  readonly toServer: Uint8Array[] = []
  readonly toClient: ToClient[] = []
  /** What the server does with a frame; set once the session exists, frames wait until then. */
  receive: ((frame: Uint8Array) => void) | undefined
  /** Tells the server that the connection has gone. */
  onGone: () => void = () => undefined
  isCut = false
  readonly #onSend: (frame: Uint8Array) => void

  /** @param onSend sees every frame of the server at the moment at which it is sent */
  constructor(onSend: (frame: Uint8Array) => void) {
    this.#onSend = onSend
  }

  readonly serverSide: SessionSocket = {
    bufferedBytes: 0,
    send: (frame) => {
      this.#onSend(frame)
      if (!this.isCut) this.toClient.push({ frame: frame.slice() })
    },
    close: (code, reason) => this.closeByServer(code, reason),
  }

  closeByServer(code: number, reason: string): void {
    if (!this.isCut) this.toClient.push({ closed: { code, reason } })
    this.toServer.length = 0
    this.receive = () => undefined
  }

  /** The network fails: what is under way is lost, and nothing arrives any more. */
  cut(): void {
    this.isCut = true
    this.toServer.length = 0
    this.toClient.length = 0
  }
}

import * as decoding from 'lib0/decoding'
import * as Y from 'yjs'

const sync = 0
const update = 2

/** Reads what a y-websocket server sends, for how much of one client's work comes back in updates. */
export class EchoReader {
  readonly #clientId: number
  readonly #onEcho: (clock: number) => void

  /** `onEcho` is told up to which clock the client's own work has come back. */
  constructor(clientId: number, onEcho: (clock: number) => void) {
    this.#clientId = clientId
    this.#onEcho = onEcho
  }

  /** A frame is: type of message, and for sync its kind and the update, which carries the clocks of each client in it. */
  read(frame: Uint8Array): void {
    const decoder = decoding.createDecoder(frame)
    if (decoding.readVarUint(decoder) !== sync || decoding.readVarUint(decoder) !== update) return
    const clock = Y.parseUpdateMeta(decoding.readVarUint8Array(decoder)).to.get(this.#clientId)
    if (clock !== undefined) this.#onEcho(clock)
  }
}

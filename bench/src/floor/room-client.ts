import { WebSocket } from 'ws'
import * as Y from 'yjs'

const stepOne = Buffer.from([0, 0, 1, 0])
const marker = /\u00c2\u00a7(\d+)\u00c2\u00a7/g

/** A thin y-websocket client: it speaks the protocol, makes real Yjs updates, and reads only the markers out of what comes. */
export class RoomClient {
  readonly #socket: WebSocket
  readonly #doc = new Y.Doc()
  readonly #update: { bytes: Uint8Array } = { bytes: new Uint8Array() }

  private constructor(socket: WebSocket) {
    this.#socket = socket
    this.#doc.on('update', (bytes: Uint8Array) => {
      this.#update.bytes = bytes
    })
  }

  /** Connects, and resolves when the server has sent its step 2. `onMarker` hears each marker that comes in. */
  static async connect(url: string, onMarker: (id: number) => void): Promise<RoomClient> {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    await new Promise<void>((resolve, reject) => {
      let synced = false
      socket.once('error', reject)
      socket.once('open', () => socket.send(stepOne))
      socket.on('message', (data: Buffer) => {
        if (data[0] !== 0) return
        if (data[1] === 1) {
          if (!synced) resolve()
          synced = true
        } else if (data[1] === 2) {
          for (const [, id] of data.toString('latin1').matchAll(marker)) onMarker(Number(id))
        }
      })
    })
    return new RoomClient(socket)
  }

  /** Sets a key of a map: the update of a form field. */
  set(id: number): void {
    // A key of its own: of two who write one key at once, a server may drop the loser's value before it relays it.
    this.#doc.getMap('state').set(`${this.#doc.clientID}-${id % 100}`, `\u00a7${id}\u00a7`)
    this.#send()
  }

  /** Appends to one growing text: a typist, or a model's tokens. */
  append(id: number): void {
    const text = this.#doc.getText('text')
    text.insert(text.length, `\u00a7${id}\u00a7`)
    this.#send()
  }

  close(): void {
    this.#socket.terminate()
    this.#doc.destroy()
  }

  #send(): void {
    const { bytes } = this.#update
    const length = varUint(bytes.length)
    this.#socket.send(Buffer.concat([Buffer.from([0, 2, ...length]), bytes]))
  }
}

function varUint(value: number): number[] {
  const bytes: number[] = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return [...bytes, value]
}

import { once } from 'node:events'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { WebSocket } from 'ws'
import { until } from './editor.ts'

export interface RawMessage {
  readonly type: number
  readonly syncType?: number | undefined
  readonly payload: Uint8Array
  readonly text?: string | undefined
}

/** Speaks the y-websocket protocol byte by byte, for what a stock provider would never do. */
export class RawClient {
  readonly socket: WebSocket
  readonly messages: RawMessage[] = []
  closed: { code: number; reason: string } | undefined

  private constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data: Buffer) => this.messages.push(decode(data)))
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() }
    })
  }

  static async connect(url: string, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
    const client = new RawClient(new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers }))
    await Promise.race([once(client.socket, 'open'), once(client.socket, 'close')])
    return client
  }

  sendStepOne(stateVector: Uint8Array = new Uint8Array([0])): void {
    this.send(0, 0, stateVector)
  }

  sendStepTwo(update: Uint8Array): void {
    this.send(0, 1, update)
  }

  sendUpdate(update: Uint8Array): void {
    this.send(0, 2, update)
  }

  send(...parts: readonly (number | Uint8Array)[]): void {
    const encoder = encoding.createEncoder()
    for (const part of parts) {
      if (typeof part === 'number') encoding.writeVarUint(encoder, part)
      else encoding.writeVarUint8Array(encoder, part)
    }
    this.socket.send(encoding.toUint8Array(encoder))
  }

  sync(syncType: number): readonly RawMessage[] {
    return this.messages.filter((message) => message.type === 0 && message.syncType === syncType)
  }

  async received(what: string, condition: (client: RawClient) => boolean): Promise<void> {
    await until(what, () => condition(this))
  }

  close(): void {
    this.socket.terminate()
  }
}

function decode(frame: Uint8Array): RawMessage {
  const decoder = decoding.createDecoder(frame)
  const type = decoding.readVarUint(decoder)
  if (type === 2) {
    decoding.readVarUint(decoder)
    return { type, payload: new Uint8Array(), text: decoding.readVarString(decoder) }
  }
  if (type === 0)
    return { type, syncType: decoding.readVarUint(decoder), payload: decoding.readVarUint8Array(decoder) }
  return { type, payload: decoding.readVarUint8Array(decoder) }
}

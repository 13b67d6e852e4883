import { payloadBytesMax } from './postgres-notifier.ts'

/** Messages larger than this are not sent: the bus is for presence. */
const messageBytesMax = 1 << 20
const unfinishedMax = 1_000
// Base64 takes four characters for three bytes; the rest is for what stands before.
const partBytes = Math.floor(((payloadBytesMax - 60) / 4) * 3)

/** Messages as payloads `id index count base64`, and back. */
export class MessageParts {
  readonly #unfinished = new Map<string, Uint8Array[]>()

  split(id: string, message: Uint8Array): readonly string[] {
    if (message.length > messageBytesMax) return []
    const count = Math.max(1, Math.ceil(message.length / partBytes))
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.length)
    return Array.from({ length: count }, (_, index) => {
      const part = bytes.subarray(index * partBytes, (index + 1) * partBytes)
      return `${id} ${index} ${count} ${part.toString('base64')}`
    })
  }

  /** The message, once its last part is there. Parts that come out of order, or after a gap, are dropped. */
  join(payload: string): Uint8Array | undefined {
    const [id = '', index = '', count = '', text = ''] = payload.split(' ')
    const part = Buffer.from(text, 'base64')
    if (count === '1') return new Uint8Array(part)
    const before = this.#unfinished.get(id) ?? []
    this.#unfinished.delete(id)
    if (before.length !== Number(index)) return undefined
    const parts = [...before, part]
    if (parts.length === Number(count)) return new Uint8Array(Buffer.concat(parts))
    this.#unfinished.set(id, parts)
    if (this.#unfinished.size > unfinishedMax) this.clear()
    return undefined
  }

  /** Forgets unfinished messages: what was missing of them is lost. */
  clear(): void {
    this.#unfinished.clear()
  }
}

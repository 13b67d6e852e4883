import { utf8Length } from './json-pieces.ts'

const encoder = new TextEncoder()
/** Text is encoded by the stretch: many short texts at once, and no long one all at once. */
const stretchLength = 64 << 10

/** Text that becomes UTF-8 while it is put together, so that it is never there twice as a whole. */
export class TextBuffer {
  #text = ''
  #chunks: Uint8Array[] = []
  #chunkBytes = 0

  append(text: string): void {
    this.#text += text
    if (this.#text.length >= stretchLength) this.#encode()
  }

  /** Whether it has at most `bytesMax` bytes with `text` in it. */
  fits(text: string, bytesMax: number): boolean {
    // A UTF-16 unit has at most three bytes, so most texts need no counting.
    if (this.#chunkBytes + 3 * (this.#text.length + text.length) <= bytesMax) return true
    this.#encode()
    const left = bytesMax - this.#chunkBytes
    return text.length <= left && utf8Length(text) <= left
  }

  /** The bytes of `head`, of everything that was appended, and of `tail`; what was appended is gone then. */
  take(head: string, tail: string): Uint8Array {
    this.#encode()
    const chunks = [encoder.encode(head), ...this.#chunks, encoder.encode(tail)]
    const bytes = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
    let at = 0
    for (const chunk of chunks) {
      bytes.set(chunk, at)
      at += chunk.byteLength
    }
    this.#chunks = []
    this.#chunkBytes = 0
    return bytes
  }

  #encode(): void {
    if (this.#text === '') return
    const chunk = encoder.encode(this.#text)
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.byteLength
    this.#text = ''
  }
}

import { PolyphonyError } from '@polyphony/core'
import { chunkBytesMax, joinBytes } from './chunks.ts'

/**
 * Opens a series. As a number of clients, which is how a Yjs update begins, it would be larger than any that Yjs reads,
 * so that a single update cannot be mistaken for a series.
 */
const marker = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
const lengthBytes = 4

/**
 * The `state` of a checkpoint that consists of several Yjs updates, to be applied in order: a marker, then each update
 * after its length (uint32, little endian). A single update stands for itself, without marker or length. A large state
 * is stored like this so that whoever reads it can take it in step by step.
 */
export async function* encodeUpdateSeries(updates: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  const [only] = updates
  if (only !== undefined && updates.length > 1) {
    yield marker
    for (const update of updates) {
      const length = new Uint8Array(lengthBytes)
      new DataView(length.buffer).setUint32(0, update.length, true)
      yield length
      yield* slicesOf(update)
    }
  } else if (only !== undefined) {
    yield* slicesOf(only)
  }
}

/**
 * The updates of a checkpoint's `state`, one after the other, each in an array of its own. Holds one update at a time.
 * Throws `store-corrupt` for a series that ends too early.
 */
export async function* decodeUpdateSeries(
  state: AsyncIterable<Uint8Array>,
  documentId: string,
): AsyncGenerator<Uint8Array> {
  const reader = new ChunkReader(state)
  const head = await reader.read(marker.length)
  if (!head.every((byte, index) => byte === marker[index]) || head.length < marker.length) {
    const only = joinBytes([head, await reader.readRest()])
    if (only.length > 0) yield only
    return
  }
  for (;;) {
    const length = await reader.read(lengthBytes)
    if (length.length === 0) return
    if (length.length < lengthBytes) throw cutOff(documentId)
    const bytes = new DataView(length.buffer, length.byteOffset, lengthBytes).getUint32(0, true)
    const update = await reader.read(bytes)
    if (update.length < bytes) throw cutOff(documentId)
    yield update
  }
}

/** Reads runs of bytes across the borders of chunks. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #chunk: Uint8Array = new Uint8Array()

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** The next `bytes` bytes as a copy; fewer where the chunks end. */
  async read(bytes: number): Promise<Uint8Array> {
    const run = new Uint8Array(bytes)
    let filled = 0
    while (filled < bytes && (this.#chunk.length > 0 || (await this.#next()))) {
      const part = this.#chunk.subarray(0, bytes - filled)
      run.set(part, filled)
      filled += part.length
      this.#chunk = this.#chunk.subarray(part.length)
    }
    return run.subarray(0, filled)
  }

  async readRest(): Promise<Uint8Array> {
    const parts = [this.#chunk]
    while (await this.#next()) parts.push(this.#chunk)
    return joinBytes(parts)
  }

  async #next(): Promise<boolean> {
    const next = await this.#chunks.next()
    if (next.done === true) return false
    this.#chunk = next.value
    return true
  }
}

function* slicesOf(update: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < update.length; at += chunkBytesMax) yield update.subarray(at, at + chunkBytesMax)
}

function cutOff(documentId: string): PolyphonyError {
  return new PolyphonyError('store-corrupt', `The checkpoint of "${documentId}" ends too early.`, {
    documentId,
  })
}

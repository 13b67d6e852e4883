import {
  corrupt,
  decodeChunk,
  encodeChunk,
  joinBytes,
  overtakenRead,
  type ChunkReference,
} from '@polyphony/storage'
import type { RedisClient } from './redis-connection.ts'
import { storeFailed } from './redis-reply.ts'

/** How long chunks outlive what they belonged to, for those who are reading them. */
export const replacedChunksMs = 60_000
/** Chunks that are being written vanish after this long without another one: their writer is gone. */
const stagedMs = 600_000
const chunksPerRead = 4

/** Large values: hashes with a chunk per field, so that no command keeps Redis from the others for long. */
export class RedisChunks {
  readonly #client: RedisClient

  constructor(client: RedisClient) {
    this.#client = client
  }

  /** Writes chunks one by one. They vanish by themselves until a script makes them part of a document. */
  async stage(
    { documentId, set, key }: ChunkPlace,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<ChunkReference> {
    let count = 0
    let bytes = 0
    for await (const chunk of chunks) {
      await this.put(
        { documentId, key },
        String(count),
        encodeChunk(chunk, contextOf(documentId, set, count)),
      )
      count++
      bytes += chunk.length
    }
    return { set, count, bytes }
  }

  /** One more field beside staged chunks. */
  async put(
    { documentId, key }: Pick<ChunkPlace, 'documentId' | 'key'>,
    field: string,
    value: Uint8Array,
  ): Promise<void> {
    try {
      await Promise.all([
        this.#client.hset(key, field, Buffer.from(value.buffer, value.byteOffset, value.length)),
        this.#client.pexpire(key, stagedMs),
      ])
    } catch (cause) {
      throw storeFailed(cause, documentId)
    }
  }

  /** Removes what was staged in vain; what cannot be reached vanishes by itself. */
  async discard(keys: readonly string[]): Promise<void> {
    await Promise.allSettled(keys.map((key) => this.#client.unlink(key)))
  }

  async fields({ documentId, key }: Pick<ChunkPlace, 'documentId' | 'key'>, fields: readonly string[]) {
    try {
      return await this.#client.hmgetBuffer(key, ...fields)
    } catch (cause) {
      throw storeFailed(cause, documentId)
    }
  }

  /** Throws `overtakenRead` when they have been removed, `store-corrupt` when one is damaged. */
  async *read(place: ChunkPlace, count: number, what: string): AsyncGenerator<Uint8Array> {
    const { documentId, set } = place
    for (let at = 0; at < count; at += chunksPerRead) {
      const numbers = Array.from({ length: Math.min(chunksPerRead, count - at) }, (_, index) => at + index)
      const records = await this.fields(place, numbers.map(String))
      for (const number of numbers) {
        const record = records[number - at] ?? null
        if (record === null) throw overtakenRead(documentId)
        const name = { documentId, what: `${what} chunk ${number}` }
        yield decodeChunk(record, contextOf(documentId, set, number), name)
      }
    }
  }

  /** A value as a whole. */
  async readWhole(place: ChunkPlace, { count, bytes }: ChunkReference, what: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    for await (const part of this.read(place, count, what)) parts.push(part.slice())
    const whole = joinBytes(parts)
    if (whole.length !== bytes)
      throw corrupt({ documentId: place.documentId, what }, 'its chunks are not all there')
    return whole
  }
}

/** Whose chunks they are, under which name, and the key of their hash. */
export interface ChunkPlace {
  readonly documentId: string
  readonly set: string
  readonly key: string
}

/** Where a chunk's bytes belong, for its checksum. */
function contextOf(documentId: string, set: string, number: number): Uint8Array {
  return Buffer.from(`${documentId}\n${set}\n${number}`)
}

import type { Random } from '@polyphony/core'
import { chunkBytesMax, corrupt, decodeChunk, encodeChunk, type ChunkReference } from '@polyphony/storage'
import { chunkKey, chunkRange, compareKeys } from './keys.ts'
import type { GroupWriter } from './group-writer.ts'
import type { Janitor } from './janitor.ts'
import type { LevelDatabase, Snapshot } from './level-database.ts'
import { putTrash } from './trash.ts'

export interface ChunkStoreOptions {
  readonly database: LevelDatabase
  readonly writer: GroupWriter
  readonly janitor: Janitor
  readonly random: Random
}

/** Writes and reads large values in chunks, each in a write of its own. */
export class ChunkStore {
  readonly #options: ChunkStoreOptions

  constructor(options: ChunkStoreOptions) {
    this.#options = options
  }

  /**
   * Writes chunks of at most `chunkBytesMax`. They are in the trash until a batch with `deleteTrash` of their range makes
   * them part of a document. If it rejects, nothing is left behind.
   */
  async write(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<ChunkReference> {
    const { writer, random } = this.#options
    const set = random.hex(8)
    let count = 0
    let bytes = 0
    await writer.write([putTrash(chunkRange(set))], { durable: true })
    try {
      for await (const chunk of chunks) {
        const key = chunkKey(set, count)
        await writer.write([{ type: 'put', key, value: encodeChunk(chunk, key) }], { durable: true })
        count++
        bytes += chunk.length
      }
    } catch (error) {
      this.discard(set)
      throw error
    }
    return { set, count, bytes }
  }

  /** Removes chunks in the background, unless they have become part of a document after all. */
  discard(set: string): void {
    this.#options.janitor.sweep(chunkRange(set))
  }

  /** Throws `store-corrupt` when one is missing or damaged. */
  async *read(
    reference: ChunkReference,
    name: { readonly documentId: string; readonly what: string },
    snapshot?: Snapshot,
  ): AsyncGenerator<Uint8Array> {
    const { set, count, bytes } = reference
    let found = 0
    let total = 0
    for await (const [key, record] of this.#options.database.pairs(chunkRange(set), snapshot)) {
      const wanted = chunkKey(set, found)
      if (compareKeys(key, wanted) !== 0) break
      found++
      const chunk = decodeChunk(record, wanted, { ...name, what: `${name.what}, chunk ${found} of ${count}` })
      total += chunk.length
      yield chunk
    }
    if (found !== count || total !== bytes) throw corrupt(name, `${found} of ${count} chunks are there`)
  }

  /** A value as a whole. */
  async readWhole(
    reference: ChunkReference,
    name: { readonly documentId: string; readonly what: string },
    snapshot?: Snapshot,
  ): Promise<Uint8Array> {
    const whole = new Uint8Array(Math.min(reference.bytes, reference.count * chunkBytesMax))
    let at = 0
    for await (const chunk of this.read(reference, name, snapshot)) {
      if (at + chunk.length > whole.length) throw corrupt(name, 'its chunks are longer than they should be')
      whole.set(chunk, at)
      at += chunk.length
    }
    return whole
  }
}

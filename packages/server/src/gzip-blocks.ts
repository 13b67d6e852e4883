import { constants, crc32, deflateRaw, deflateRawSync } from 'node:zlib'

const options = { level: 1, finishFlush: constants.Z_SYNC_FLUSH }
/** Larger pieces are compressed off the main thread. */
const syncBytesMax = 64 << 10

/** The head of a gzip stream: deflate, no name, no time. */
export const gzipHead: Uint8Array = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255)

const compressed = new WeakMap<Uint8Array, Uint8Array | Promise<Uint8Array>>()

/**
 * `piece` as blocks of a deflate stream that refer to nothing before them and end on a byte. So the same blocks can stand
 * in any number of gzip streams: a piece that goes to a thousand readers is compressed once, and a reader costs no
 * memory. Kept for as long as `piece` is.
 */
export function deflateBlocks(piece: Uint8Array): Uint8Array | Promise<Uint8Array> {
  const known = compressed.get(piece)
  if (known !== undefined) return known
  const made = piece.byteLength <= syncBytesMax ? deflateRawSync(piece, options) : deflateLarge(piece)
  compressed.set(piece, made)
  return made
}

/** What ends a gzip stream: an empty last block, checksum and length. Counts the pieces of one stream. */
export class GzipTail {
  #checksum = 0
  #bytes = 0

  add(piece: Uint8Array): void {
    // zlib takes "no bytes" as "start anew".
    if (piece.byteLength === 0) return
    this.#checksum = crc32(piece, this.#checksum)
    this.#bytes = (this.#bytes + piece.byteLength) % 2 ** 32
  }

  encode(): Uint8Array {
    const tail = Buffer.alloc(10)
    tail.writeUInt16LE(0x0003, 0)
    tail.writeUInt32LE(this.#checksum, 2)
    tail.writeUInt32LE(this.#bytes, 6)
    return tail
  }
}

function deflateLarge(piece: Uint8Array): Promise<Uint8Array> {
  const made = new Promise<Uint8Array>((resolve, reject) => {
    deflateRaw(piece, options, (error, result) => (error === null ? resolve(result) : reject(error)))
  })
  made.then(
    (blocks) => compressed.set(piece, blocks),
    () => compressed.delete(piece),
  )
  return made
}

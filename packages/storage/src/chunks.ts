/** Values above this are stored in chunks of this size: 256 KB, so that nothing waits long for one write. */
export const chunkBytesMax = 256 << 10

/** Where the chunks of a large value are. */
export interface ChunkReference {
  /** Names the chunks; 16 hexadecimal digits, random, so that what a crash left behind never mixes with new chunks. */
  readonly set: string
  readonly count: number
  /** Of all chunks together. */
  readonly bytes: number
}

/** The value in chunks of `chunkBytesMax`, as views. */
export function splitChunks(value: Uint8Array): readonly Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0; at < value.length; at += chunkBytesMax) chunks.push(value.subarray(at, at + chunkBytesMax))
  return chunks
}

/**
 * The same bytes in chunks of exactly `chunkBytesMax`, but for the last one; nothing for no bytes. Holds one chunk at a
 * time, and what it gives is a copy.
 */
export async function* rechunk(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let chunk = new Uint8Array(chunkBytesMax)
  let filled = 0
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + chunkBytesMax - filled)
      chunk.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < chunkBytesMax) continue
      yield chunk
      chunk = new Uint8Array(chunkBytesMax)
      filled = 0
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled)
}

/** The chunks of one value as a whole. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

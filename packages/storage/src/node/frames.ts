import { corrupt } from '../record.ts'

/** A frame: four bytes of length, little-endian, then the parts. Stores may cut a stream of frames anywhere. */
export function encodeFrame(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const frame = new Uint8Array(4 + length)
  new DataView(frame.buffer).setUint32(0, length, true)
  let at = 4
  for (const part of parts) {
    frame.set(part, at)
    at += part.length
  }
  return frame
}

/** The frames in a stream that was cut differently. Throws `store-corrupt` for one that is longer or shorter than it says. */
export async function* readFrames(
  source: AsyncIterable<Uint8Array>,
  place: { readonly documentId: string; readonly what: string; readonly frameBytesMax: number },
): AsyncGenerator<Uint8Array> {
  let pending: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    pending =
      pending.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([pending, chunk])
    while (pending.length >= 4) {
      const length = pending.readUInt32LE(0)
      if (length > place.frameBytesMax) throw corrupt(place, `a frame claims ${length} bytes`)
      if (pending.length < 4 + length) break
      yield new Uint8Array(pending.buffer, pending.byteOffset + 4, length)
      pending = pending.subarray(4 + length)
    }
  }
  if (pending.length > 0) throw corrupt(place, 'it ends within a frame')
}

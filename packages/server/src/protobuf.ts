import { AGUI_MEDIA_TYPE, encode } from '@ag-ui/proto'
import { encodeCustom } from '@polyphony/ag-ui'
import { PolyphonyError } from '@polyphony/core'
import { eventTexts } from './event-texts.ts'

/** The media type of AG-UI's protobuf framing. The official client compares it as a whole: no parameters. */
export const protobufMediaType: string = AGUI_MEDIA_TYPE

/** What the official client takes as one frame: 10 MiB less a little. */
const frameBytesMax = (10 << 20) - 1_024

const decoder = new TextDecoder()
const encoded = new WeakMap<Uint8Array, Uint8Array>()

/**
 * The events in frames of a `text/event-stream` as AG-UI's protobuf frames them: each as its length (uint32, big-endian)
 * and message. Made once for all readers of the same frames, and kept for as long as those are. Cost: about three times
 * that of the JSON. Throws `document-too-large` for an event that becomes too large for the client: numbers and small
 * objects take up to five times the bytes that they take as JSON.
 */
export function encodeProtobuf(frames: Uint8Array): Uint8Array {
  const known = encoded.get(frames)
  if (known !== undefined) return known
  const made = Buffer.concat([...eventTexts(frames)].flatMap(frameOf))
  encoded.set(frames, made)
  return made
}

/** The JSON text of an event that says nothing: the framing has no comments that could keep a quiet stream alive. */
export const protobufKeepAlive: string = encodeCustom('polyphony.keep-alive', {})

function frameOf(text: Uint8Array): readonly Uint8Array[] {
  const message = encode(JSON.parse(decoder.decode(text)) as Parameters<typeof encode>[0])
  if (message.byteLength > frameBytesMax) {
    throw new PolyphonyError(
      'document-too-large',
      `An event has ${message.byteLength} bytes as protobuf, more than a client takes; ask for text/event-stream.`,
      { limit: 'snapshotBytesMax' },
    )
  }
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.byteLength)
  return [length, message]
}

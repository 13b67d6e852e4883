import type { ChunkReference } from './chunks.ts'
import type { Revision } from './document-store.ts'
import { decodeReference, encodeReference } from './entry-codec.ts'
import { corrupt, openRecord, sealRecord } from './record.ts'

/** What a store keeps of a checkpoint beside its chunks. */
export interface StoredCheckpoint {
  readonly revision: Revision
  /** Bytes of all updates of the log up to and including `revision`. */
  readonly endOffset: number
  readonly chunks: ChunkReference
  readonly stateVector: Uint8Array
}

/*
 * Body of a checkpoint's record: revision and endOffset as float64, the chunk reference, the state vector. Body of a
 * chunk's record: the bytes.
 */
const checkpointKind = 2
const chunkKind = 3
const fixedBytes = 36

export function encodeCheckpoint(checkpoint: StoredCheckpoint, context: Uint8Array): Uint8Array {
  const fixed = new Uint8Array(16)
  const view = new DataView(fixed.buffer)
  view.setFloat64(0, checkpoint.revision, true)
  view.setFloat64(8, checkpoint.endOffset, true)
  return sealRecord(checkpointKind, context, [
    fixed,
    encodeReference(checkpoint.chunks),
    checkpoint.stateVector,
  ])
}

/** Throws `store-corrupt`, naming the document. */
export function decodeCheckpoint(
  record: Uint8Array | undefined,
  context: Uint8Array,
  documentId: string,
): StoredCheckpoint {
  const place = { kind: checkpointKind, context, documentId, what: 'checkpoint' }
  const body = openRecord(record, place)
  if (body.length < fixedBytes) throw corrupt(place, 'it is cut off')
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  return {
    revision: view.getFloat64(0, true),
    endOffset: view.getFloat64(8, true),
    chunks: decodeReference(body.subarray(16, fixedBytes), place),
    stateVector: body.subarray(fixedBytes),
  }
}

/** `context` is the chunk's place: its set and number. */
export function encodeChunk(bytes: Uint8Array, context: Uint8Array): Uint8Array {
  return sealRecord(chunkKind, context, [bytes])
}

/** Throws `store-corrupt`, naming the document and `what` the chunk is of. */
export function decodeChunk(
  record: Uint8Array | undefined,
  context: Uint8Array,
  name: { readonly documentId: string; readonly what: string },
): Uint8Array {
  return openRecord(record, { kind: chunkKind, context, ...name })
}

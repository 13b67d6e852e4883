import type { ChunkReference } from './chunks.ts'
import type { EntryMeta } from './document-store.ts'
import { corrupt, openRecord, sealRecord } from './record.ts'

/** An entry as a store keeps it: the update itself, or where its chunks are. */
export interface StoredEntry {
  readonly meta: EntryMeta
  /** Bytes of all updates of the log before this one, so that any span of the log can be measured by two entries. */
  readonly offset: number
  readonly update: Uint8Array | ChunkReference
}

/*
 * Body of an entry's record, numbers little-endian:
 *
 *   0  0: the update follows, 1: a chunk reference follows
 *   1  offset, float64
 *   9  bytes of meta, uint16
 *  11  meta, JSON in UTF-8
 *   …  update | set (8 bytes) count (uint32) bytes (float64)
 */
const entryKind = 1
const fixedBytes = 11
const referenceBytes = 20

/** `context` is the entry's place (its key); `meta` its JSON, as `encodeMeta` makes it. */
export function encodeEntry(
  entry: { readonly meta: Uint8Array; readonly offset: number; readonly update: Uint8Array | ChunkReference },
  context: Uint8Array,
): Uint8Array {
  const { meta, offset, update } = entry
  const fixed = new Uint8Array(fixedBytes)
  const view = new DataView(fixed.buffer)
  const chunked = !(update instanceof Uint8Array)
  view.setUint8(0, chunked ? 1 : 0)
  view.setFloat64(1, offset, true)
  view.setUint16(9, meta.length, true)
  return sealRecord(entryKind, context, [fixed, meta, chunked ? encodeReference(update) : update])
}

/** Throws `store-corrupt`, naming document and revision. The update is a view into `record`. */
export function decodeEntry(
  record: Uint8Array | undefined,
  context: Uint8Array,
  name: { readonly documentId: string; readonly revision: number },
): StoredEntry {
  const place = { kind: entryKind, context, documentId: name.documentId, what: `entry ${name.revision}` }
  const body = openRecord(record, place)
  if (body.length < fixedBytes) throw corrupt(place, 'it is cut off')
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const metaEnd = fixedBytes + view.getUint16(9, true)
  const meta = parseMeta(body.subarray(fixedBytes, metaEnd), place)
  const rest = body.subarray(metaEnd)
  const update = view.getUint8(0) === 0 ? rest : decodeReference(rest, place)
  return { meta, offset: view.getFloat64(1, true), update }
}

/** The length of the update, wherever it is. */
export function updateBytes(entry: Pick<StoredEntry, 'update'>): number {
  return entry.update instanceof Uint8Array ? entry.update.length : entry.update.bytes
}

/** 20 bytes: set, count, bytes. */
export function encodeReference({ set, count, bytes }: ChunkReference): Uint8Array {
  const encoded = new Uint8Array(referenceBytes)
  const view = new DataView(encoded.buffer)
  view.setBigUint64(0, BigInt(`0x${set}`))
  view.setUint32(8, count, true)
  view.setFloat64(12, bytes, true)
  return encoded
}

export function decodeReference(
  encoded: Uint8Array,
  place: { readonly documentId?: string | undefined; readonly what: string },
): ChunkReference {
  if (encoded.length !== referenceBytes) throw corrupt(place, 'its chunk reference is cut off')
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.length)
  return {
    set: view.getBigUint64(0).toString(16).padStart(16, '0'),
    count: view.getUint32(8, true),
    bytes: view.getFloat64(12, true),
  }
}

function parseMeta(
  json: Uint8Array,
  place: { readonly documentId: string; readonly what: string },
): EntryMeta {
  try {
    // The checksum has vouched for the bytes, and `encodeMeta` wrote them.
    return JSON.parse(textDecoder.decode(json)) as EntryMeta
  } catch {
    throw corrupt(place, 'its meta is no JSON')
  }
}

const textDecoder = new TextDecoder()

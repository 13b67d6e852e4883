import { PolyphonyError } from '@polyphony/core'
import { crc32c } from './crc32c.ts'

/*
 * Whatever a store keeps as bytes is a record:
 *
 *   0  version of the format, 1
 *   1  kind, so that bytes of one kind are never taken for another
 *   2  CRC-32C of the context, version, kind and body, little-endian
 *   6  body
 *
 * The context is where the record belongs (its key): it is not stored, but a record that turns up elsewhere does not match.
 */
const formatVersion = 1
const headerBytes = 6

/** Wraps the body, given in parts, as a record. */
export function sealRecord(kind: number, context: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  let length = headerBytes
  for (const part of parts) length += part.length
  const record = new Uint8Array(length)
  let at = headerBytes
  for (const part of parts) {
    record.set(part, at)
    at += part.length
  }
  record[0] = formatVersion
  record[1] = kind
  const sum = checksum(record, context)
  record[2] = sum
  record[3] = sum >>> 8
  record[4] = sum >>> 16
  record[5] = sum >>> 24
  return record
}

/** What a record is and where it belongs, for the error that names it. */
export interface RecordPlace {
  readonly kind: number
  readonly context: Uint8Array
  readonly documentId?: string | undefined
  /** As in "entry 12". */
  readonly what: string
}

/** The body of a record, as a view into it. Throws `store-corrupt`, naming document and record. */
export function openRecord(record: Uint8Array | undefined, place: RecordPlace): Uint8Array {
  if (record === undefined) throw corrupt(place, 'it is missing')
  if (record.length < headerBytes) throw corrupt(place, `it has ${record.length} bytes`)
  if (record[0] !== formatVersion)
    throw corrupt(place, `its format is version ${record[0]}, not ${formatVersion}`)
  if (record[1] !== place.kind) throw corrupt(place, 'it is of another kind')
  const stored = new DataView(record.buffer, record.byteOffset).getUint32(2, true)
  if (stored !== checksum(record, place.context)) throw corrupt(place, 'its checksum does not match')
  // Not `subarray`: of a Node `Buffer` that would be another one, whose `slice` means something else.
  return new Uint8Array(record.buffer, record.byteOffset + headerBytes, record.length - headerBytes)
}

/** An error for bytes that are not what was written. */
export function corrupt(place: Pick<RecordPlace, 'documentId' | 'what'>, problem: string): PolyphonyError {
  const { documentId, what } = place
  const where = documentId === undefined ? what : `${what} of "${documentId}"`
  return new PolyphonyError('store-corrupt', `Stored bytes are damaged: ${where}: ${problem}.`, {
    documentId,
    extra: { record: what },
  })
}

function checksum(record: Uint8Array, context: Uint8Array): number {
  const head = crc32c(record.subarray(0, 2), crc32c(context))
  return crc32c(record.subarray(headerBytes), head)
}

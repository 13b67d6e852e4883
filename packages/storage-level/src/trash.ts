import { corrupt, openRecord, sealRecord } from '@polyphony/storage'
import { trashKey, type Key, type KeyRange } from './keys.ts'
import type { Operation } from './level-database.ts'

/*
 * A trash record says that a range of keys is to be removed. It is written in the batch that makes the range superfluous,
 * or before the range comes into being (chunks that nothing refers to yet) and then removed in the batch that makes it
 * part of a document. So whatever instant a crash picks, what is left over is either in use or in the trash.
 *
 * Key: `trashKey(range)`; body of the record: the length of `from` (uint16), `from`, `to`.
 */
const trashKind = 17

export function putTrash(range: KeyRange): Operation {
  const key = trashKey(range)
  const length = Uint8Array.of(range.from.length & 255, range.from.length >> 8)
  return { type: 'put', key, value: sealRecord(trashKind, key, [length, range.from, range.to]) }
}

export function deleteTrash(range: KeyRange): Operation {
  return { type: 'del', key: trashKey(range) }
}

export function decodeTrash(record: Uint8Array, key: Key): KeyRange {
  const place = { kind: trashKind, context: key, what: 'a trash record' }
  const body = openRecord(record, place)
  const length = (body[0] ?? 0) + 256 * (body[1] ?? 0)
  if (length > body.length - 2) throw corrupt(place, 'it is cut off')
  return { from: body.slice(2, 2 + length), to: body.slice(2 + length) }
}

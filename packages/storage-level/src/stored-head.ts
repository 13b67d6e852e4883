import type { Head, Revision } from '@polyphony/storage'
import { corrupt, openRecord, sealRecord } from '@polyphony/storage'
import { bytesHex, headKey, hexBytes, LogKeys } from './keys.ts'

/** A document's head as it is stored and cached. Never changed in place. */
export interface StoredHead {
  readonly documentId: string
  /** As in the keys; what the outside sees has the store's generation added. */
  readonly incarnation: string
  readonly revision: Revision
  /** Bytes of all updates of the log, since revision 1. */
  readonly endOffset: number
  /** The oldest entry that is retained; `revision + 1` when none is. */
  readonly first: Revision
  readonly checkpoint?: HeadCheckpoint | undefined
  readonly deletedAtMs?: number | undefined
  readonly keys: LogKeys
}

export interface HeadCheckpoint {
  readonly revision: Revision
  readonly bytes: number
  readonly endOffset: number
  /** Names its chunks. */
  readonly set: string
}

/** The head of a document that has just come into being. */
export function newHead(documentId: string, incarnation: string): StoredHead {
  const keys = new LogKeys(documentId, incarnation)
  return { documentId, incarnation, revision: 0, endOffset: 0, first: 1, keys }
}

/** What the contract shows of a head; `generation` is added to the incarnation. */
export function publicHead(head: StoredHead, generation: string): Head {
  const { revision, endOffset, checkpoint, deletedAtMs } = head
  const incarnation = head.incarnation + generation
  if (deletedAtMs !== undefined) return { incarnation, revision, bytes: 0, tombstone: { deletedAtMs } }
  const above = endOffset - (checkpoint?.endOffset ?? 0)
  return { incarnation, revision, bytes: (checkpoint?.bytes ?? 0) + above }
}

/*
 * Body of a head's record, numbers float64 little-endian:
 *
 *   0  flags: 1 deleted, 2 has a checkpoint
 *   1  incarnation, 8 bytes
 *   9  revision, endOffset, first
 *  33  deletedAtMs | checkpoint: revision, bytes, endOffset, set (8 bytes)
 */
const headKind = 16
const fixedBytes = 33

export function encodeHead(head: StoredHead): Uint8Array {
  const { checkpoint, deletedAtMs } = head
  const more = deletedAtMs !== undefined ? 8 : checkpoint !== undefined ? 32 : 0
  const body = new Uint8Array(fixedBytes + more)
  const view = new DataView(body.buffer)
  view.setUint8(0, deletedAtMs !== undefined ? 1 : checkpoint !== undefined ? 2 : 0)
  body.set(hexBytes(head.incarnation), 1)
  view.setFloat64(9, head.revision, true)
  view.setFloat64(17, head.endOffset, true)
  view.setFloat64(25, head.first, true)
  if (deletedAtMs !== undefined) view.setFloat64(fixedBytes, deletedAtMs, true)
  else if (checkpoint !== undefined) {
    view.setFloat64(fixedBytes, checkpoint.revision, true)
    view.setFloat64(fixedBytes + 8, checkpoint.bytes, true)
    view.setFloat64(fixedBytes + 16, checkpoint.endOffset, true)
    body.set(hexBytes(checkpoint.set), fixedBytes + 24)
  }
  return sealRecord(headKind, headKey(head.documentId), [body])
}

/** Throws `store-corrupt`, naming the document. */
export function decodeHead(record: Uint8Array, documentId: string): StoredHead {
  const place = { kind: headKind, context: headKey(documentId), documentId, what: 'head' }
  const body = openRecord(record, place)
  const flags = body[0]
  if (body.length !== fixedBytes + (flags === 0 ? 0 : flags === 1 ? 8 : 32))
    throw corrupt(place, 'it is cut off')
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const incarnation = bytesHex(body.subarray(1, 9))
  const head = {
    documentId,
    incarnation,
    revision: view.getFloat64(9, true),
    endOffset: view.getFloat64(17, true),
    first: view.getFloat64(25, true),
    keys: new LogKeys(documentId, incarnation),
  }
  if (flags === 0) return head
  if (flags === 1) return { ...head, deletedAtMs: view.getFloat64(fixedBytes, true) }
  const checkpoint = {
    revision: view.getFloat64(fixedBytes, true),
    bytes: view.getFloat64(fixedBytes + 8, true),
    endOffset: view.getFloat64(fixedBytes + 16, true),
    set: bytesHex(body.subarray(fixedBytes + 24)),
  }
  return { ...head, checkpoint }
}

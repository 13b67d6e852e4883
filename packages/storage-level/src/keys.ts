/*
 * Keys are bytes, so that LevelDB's order is the order of the contract. A document id ends with a zero byte, which no id
 * contains: ids sort by their UTF-8 bytes, and none is a prefix of another's keys.
 *
 *   c id 0                        the checkpoint's record
 *   d id 0                        the head
 *   e id 0 incarnation revision   an entry
 *   k set number                  a chunk
 *   l id 0 incarnation revision   the set of a large entry's chunks
 *   m name                        what the store says of itself
 *   t from to                     trash: a range of keys to be removed
 *
 * Incarnation and set are 8 random bytes, a revision is a 64-bit and a number a 32-bit integer, both big-endian.
 */

export type Key = Uint8Array

export const headTag = 0x64
const checkpointTag = 0x63
const entryTag = 0x65
const chunkTag = 0x6b
const largeTag = 0x6c
const metaTag = 0x6d
export const trashTag = 0x74

/** A span of keys: `from` included, `to` not. */
export interface KeyRange {
  readonly from: Key
  readonly to: Key
}

export function headKey(documentId: string): Key {
  return documentKey(headTag, documentId)
}

/** Keys of the heads of documents whose ids begin with `prefix`, above the id `after`. */
export function headRange(prefix: string, after: string | undefined): KeyRange {
  const start = concat([Uint8Array.of(headTag), encoder.encode(prefix)])
  const beyond = after === undefined ? undefined : concat([headKey(after), zero])
  return {
    from: beyond !== undefined && compareKeys(beyond, start) > 0 ? beyond : start,
    to: successor(start),
  }
}

/** The document id in the key of a head. */
export function headKeyId(key: Key): string {
  return decoder.decode(key.subarray(1, -1))
}

export function checkpointKey(documentId: string): Key {
  return documentKey(checkpointTag, documentId)
}

/** Keys of a document's entries, whatever the incarnation. */
export function documentEntries(documentId: string): KeyRange {
  const from = documentKey(entryTag, documentId)
  return { from, to: successor(from) }
}

/** Makes the keys of one incarnation's entries. */
export class LogKeys {
  readonly #entry: Uint8Array
  readonly #large: Uint8Array

  constructor(documentId: string, incarnation: string) {
    const tail = hexBytes(incarnation)
    this.#entry = concat([documentKey(entryTag, documentId), tail])
    this.#large = concat([documentKey(largeTag, documentId), tail])
  }

  entry(revision: number): Key {
    return withRevision(this.#entry, revision)
  }

  large(revision: number): Key {
    return withRevision(this.#large, revision)
  }

  /** Entries `from` to `to`, both included. */
  entries(from: number, to: number): KeyRange {
    return { from: this.entry(from), to: this.entry(to + 1) }
  }

  /** The chunk sets of the large ones among the entries `from` to `to`, both included. */
  larges(from: number, to: number): KeyRange {
    return { from: this.large(from), to: this.large(to + 1) }
  }
}

/** The revision in the key of an entry. */
export function entryKeyRevision(key: Key): number {
  const view = new DataView(key.buffer, key.byteOffset + key.length - 8, 8)
  return view.getUint32(0) * 2 ** 32 + view.getUint32(4)
}

export function chunkKey(set: string, number: number): Key {
  const key = new Uint8Array(13)
  key[0] = chunkTag
  key.set(hexBytes(set), 1)
  new DataView(key.buffer).setUint32(9, number)
  return key
}

export function chunkRange(set: string): KeyRange {
  const from = chunkKey(set, 0)
  return { from, to: concat([from.subarray(0, 9), Uint8Array.of(255, 255, 255, 255, 255)]) }
}

/** Whether a range lies among the sets of large entries, so that removing it means removing the chunks, too. */
export function isLargeRange({ from }: KeyRange): boolean {
  return from[0] === largeTag
}

export function metaKey(name: string): Key {
  return concat([Uint8Array.of(metaTag), encoder.encode(name)])
}

/** Both ends are in it: a range that grows while it is being removed is another piece of trash. */
export function trashKey({ from, to }: KeyRange): Key {
  return concat([Uint8Array.of(trashTag), from, to])
}

export const trashRange: KeyRange = { from: Uint8Array.of(trashTag), to: Uint8Array.of(trashTag + 1) }

/** 16 hexadecimal digits as 8 bytes. */
export function hexBytes(hex: string): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(`0x${hex}`))
  return bytes
}

export function bytesHex(bytes: Uint8Array): string {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0).toString(16).padStart(16, '0')
}

/** In the order of the database. */
export function compareKeys(left: Key, right: Key): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

function documentKey(tag: number, documentId: string): Key {
  const id = encoder.encode(documentId)
  const key = new Uint8Array(id.length + 2)
  key[0] = tag
  key.set(id, 1)
  return key
}

function withRevision(prefix: Uint8Array, revision: number): Key {
  const key = new Uint8Array(prefix.length + 8)
  key.set(prefix)
  const view = new DataView(key.buffer)
  view.setUint32(prefix.length, Math.floor(revision / 2 ** 32))
  view.setUint32(prefix.length + 4, revision % 2 ** 32)
  return key
}

/** The first key above all that begin with `key`. Its last byte is never 255: tags are ASCII, ids UTF-8. */
function successor(key: Key): Key {
  const next = key.slice()
  next[next.length - 1] = (next.at(-1) ?? 0) + 1
  return next
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

const zero = new Uint8Array(1)
const encoder = new TextEncoder()
const decoder = new TextDecoder()

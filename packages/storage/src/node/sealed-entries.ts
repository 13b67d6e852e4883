import type { EntryMeta, NewEntry, Revision } from '../document-store.ts'
import type { DataKey } from './data-keys.ts'
import { Place } from './place.ts'
import { Sealer } from './sealed-value.ts'
import { headerOf, valueKind } from './value-kind.ts'

/*
 * Plaintext of an entry: length of meta (uint16), meta, update. Of a group: the number of entries (uint8), and for each
 * the length of its update (uint32) and the same; a length of meta of 0 stands for the meta of the one before. Numbers are
 * little-endian. A group is stored in place of its last entry,
 * a few bytes in place of the others: so whatever removes old entries never takes content that newer ones need, and as an
 * append is written as a whole or not at all, no group is ever without its end.
 */

/** Of a group. */
export const groupEntriesMax = 255
const groupBytesMax = 16 << 10
/** Larger entries are sealed alone: what they would save is little, and each is then counted where it stands. */
const memberBytesMax = 512

/**
 * Seals the entries of one document and incarnation. Small ones of one append are sealed together, for what encrypting
 * costs is for the most part the same whatever the length.
 */
export class EntrySealer {
  readonly #single: Sealer
  readonly #group: Sealer

  constructor(documentId: string, incarnation: string) {
    this.#single = new Sealer(new Place(valueKind.sealedEntry, documentId, incarnation))
    this.#group = new Sealer(new Place(valueKind.sealedGroup, documentId, incarnation))
  }

  /** Everything of an entry but its time and place is hidden, who made it included. `metas` is their JSON. */
  seal(
    key: DataKey,
    entries: readonly NewEntry[],
    metas: readonly Uint8Array[],
    first: Revision,
  ): readonly NewEntry[] {
    const sealed: NewEntry[] = []
    let meta: EntryMeta = { author: '', committedAtMs: 0 }
    const push = (entry: NewEntry | undefined, update: Uint8Array): void => {
      const committedAtMs = entry?.meta.committedAtMs ?? 0
      // The same object where it can be, which the store encodes once.
      if (committedAtMs !== meta.committedAtMs) meta = { author: '', committedAtMs }
      sealed.push({ update, meta })
    }
    while (sealed.length < entries.length) {
      const start = sealed.length
      const { count, bytes } = nextGroup(entries, metas, start)
      const last = start + count - 1
      for (let at = start; at < last; at++) push(entries[at], member)
      const value =
        count === 1
          ? this.#single.seal(key, entryPlaintext(entries[start], metas[start]), first + start)
          : this.#group.seal(key, groupPlaintext(entries, metas, start, count, bytes), first + last)
      push(entries[last], value)
    }
    return sealed
  }
}

/** The update and meta of an entry's plaintext. */
export function parseEntry(plaintext: Uint8Array): NewEntry {
  const metaEnd = 2 + uint16(plaintext, 0)
  // Authenticated, so it is what `seal` was given.
  const meta = JSON.parse(decoder.decode(plaintext.subarray(2, metaEnd))) as EntryMeta
  return { update: plaintext.subarray(metaEnd), meta }
}

/** The entries of a group's plaintext. */
export function parseGroup(plaintext: Uint8Array): readonly NewEntry[] {
  const entries: NewEntry[] = []
  for (let at = 1; entries.length < (plaintext[0] ?? 0);) {
    const metaLength = uint16(plaintext, at + 4)
    const end = at + 6 + metaLength + uint32(plaintext, at)
    const before = metaLength === 0 ? entries.at(-1)?.meta : undefined
    entries.push(
      before === undefined
        ? parseEntry(plaintext.subarray(at + 4, end))
        : { update: plaintext.subarray(at + 6, end), meta: before },
    )
    at = end
  }
  return entries
}

/** How many entries from `start` on go together, at least one, and the length of their plaintext as a group. */
function nextGroup(
  entries: readonly NewEntry[],
  metas: readonly Uint8Array[],
  start: number,
): { readonly count: number; readonly bytes: number } {
  let bytes = 1
  let count = 0
  while (start + count < entries.length && count < groupEntriesMax) {
    const at = start + count
    const length = 6 + metaOf(metas, at, start).length + (entries[at]?.update ?? empty).length
    if (length > memberBytesMax || bytes + length > groupBytesMax) break
    bytes += length
    count++
  }
  return { count: Math.max(1, count), bytes }
}

/** Valid until the next call of this or `groupPlaintext`. */
function entryPlaintext(entry: NewEntry | undefined, meta: Uint8Array = empty): Uint8Array {
  const update = entry?.update ?? empty
  const plaintext = room(2 + meta.length + update.length)
  plaintext[0] = meta.length
  plaintext[1] = meta.length >> 8
  plaintext.set(meta, 2)
  plaintext.set(update, 2 + meta.length)
  return plaintext
}

function groupPlaintext(
  entries: readonly NewEntry[],
  metas: readonly Uint8Array[],
  start: number,
  count: number,
  bytes: number,
): Uint8Array {
  const plaintext = room(bytes)
  plaintext[0] = count
  let at = 1
  for (let index = start; index < start + count; index++) {
    const update = entries[index]?.update ?? empty
    const meta = metaOf(metas, index, start)
    plaintext[at] = update.length
    plaintext[at + 1] = update.length >> 8
    plaintext[at + 2] = update.length >> 16
    plaintext[at + 3] = update.length >> 24
    plaintext[at + 4] = meta.length
    plaintext[at + 5] = meta.length >> 8
    plaintext.set(meta, at + 6)
    plaintext.set(update, at + 6 + meta.length)
    at += 6 + meta.length + update.length
  }
  return plaintext
}

/** What is written for it in a group that begins at `start`. */
function metaOf(metas: readonly Uint8Array[], at: number, start: number): Uint8Array {
  const meta = metas[at] ?? empty
  return at > start && meta === metas[at - 1] ? empty : meta
}

function room(length: number): Uint8Array {
  return length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length)
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
}

function uint32(bytes: Uint8Array, at: number): number {
  return uint16(bytes, at) + 65_536 * uint16(bytes, at + 2)
}

// Used within one turn only.
const scratch = new Uint8Array(groupBytesMax)
const empty = new Uint8Array()
const member = headerOf(valueKind.sealedMember)
const decoder = new TextDecoder()

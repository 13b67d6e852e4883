import type { EntryMeta, LogEntry, NewEntry } from '../document-store.ts'
import { isPolyphonyError } from '@polyphony/core'
import { encodeMeta } from '../append-check.ts'
import { corrupt } from '../record.ts'
import type { DataKey, DataKeys } from './data-keys.ts'

/*
 * An encrypted value: a byte for its kind, the incarnation it was written in (after its length in a byte), the envelope of
 * the data key, and what `DataKey.seal` gives. Authenticated with it, but not stored: the place it belongs to.
 *
 *   entry         kind 1; plaintext: length of meta (uint16), meta, update
 *   state vector  kind 2; plaintext: the state vector. Begins a checkpoint, whose chunks are sealed with the same key:
 *   chunk         kind 3, no header; a frame of a flag byte (1: the last) and what `seal` gives
 */
export const entryKind = 1
export const stateVectorKind = 2
export const chunkKind = 3

/** Where a value belongs. `part` tells the chunks of one checkpoint from each other and from those of another one. */
export interface Place {
  readonly kind: number
  readonly documentId: string
  readonly incarnation: string
  readonly revision: number
  readonly part?: string | undefined
}

export function encodePlace({ kind, documentId, incarnation, revision, part = '' }: Place): Uint8Array {
  // Ids have no control characters, so the zero bytes keep the members apart.
  return encoder.encode(`${kind}\0${documentId}\0${incarnation}\0${revision}\0${part}`)
}

export function sealValue(key: DataKey, plaintext: Uint8Array, place: Place): Uint8Array {
  const incarnation = encoder.encode(place.incarnation)
  const header = Uint8Array.of(place.kind, incarnation.length)
  return Buffer.concat([header, incarnation, key.envelope, key.seal(plaintext, encodePlace(place))])
}

export interface OpenedValue {
  readonly plaintext: Uint8Array
  readonly incarnation: string
  readonly key: DataKey
}

/**
 * Rejects with `store-corrupt`, naming document and value, when it does not authenticate: it was changed, or belongs
 * elsewhere. An unknown key is `store-failed`.
 */
export async function openValue(
  keys: DataKeys,
  value: Uint8Array,
  place: Omit<Place, 'incarnation'>,
  what: string,
): Promise<OpenedValue> {
  const { kind, documentId } = place
  if (value[0] !== kind) throw corrupt({ documentId, what }, 'it was not stored by `encrypted`')
  try {
    const incarnationEnd = 2 + (value[1] ?? 0)
    const incarnation = decoder.decode(value.subarray(2, incarnationEnd))
    const { key, length } = await keys.find(value.subarray(incarnationEnd))
    const plaintext = key.open(
      value.subarray(incarnationEnd + length),
      encodePlace({ ...place, incarnation }),
    )
    return { plaintext, incarnation, key }
  } catch (error) {
    if (isPolyphonyError(error)) throw error
    throw corrupt({ documentId, what }, 'it does not authenticate: it was changed, or belongs elsewhere')
  }
}

/** Everything of an entry but its time and place is hidden, who made it included. */
export function sealEntry(key: DataKey, entry: NewEntry, place: Omit<Place, 'kind'>): NewEntry {
  const meta = encodeMeta(entry.meta, place.documentId)
  const plaintext = Buffer.concat([Uint8Array.of(meta.length & 255, meta.length >> 8), meta, entry.update])
  const update = sealValue(key, plaintext, { ...place, kind: entryKind })
  return { update, meta: { author: '', committedAtMs: entry.meta.committedAtMs } }
}

export async function openEntry(
  keys: DataKeys,
  documentId: string,
  { revision, update }: LogEntry,
): Promise<{ readonly entry: LogEntry; readonly incarnation: string }> {
  const what = `entry ${revision}`
  const { plaintext, incarnation } = await openValue(
    keys,
    update,
    { kind: entryKind, documentId, revision },
    what,
  )
  const metaEnd = 2 + (plaintext[0] ?? 0) + 256 * (plaintext[1] ?? 0)
  // Authenticated, so it is what `sealEntry` was given.
  const meta = JSON.parse(decoder.decode(plaintext.subarray(2, metaEnd))) as EntryMeta
  return { entry: { revision, update: plaintext.subarray(metaEnd), meta }, incarnation }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

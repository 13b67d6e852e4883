import { isPolyphonyError, PolyphonyError } from '@polyphony/core'
import type { EntryMeta, LogEntry, NewEntry, Revision } from '../document-store.ts'
import { corrupt } from '../record.ts'
import type { DataKey, DataKeys } from './data-keys.ts'
import { Place } from './place.ts'
import { headerOf, kindBytes, kindOf, valueKind } from './value-kind.ts'

/*
 * An encrypted value: its kind (`headerOf`), the incarnation it was written in (after its length in a byte), the envelope of
 * the data key, and what `DataKey.seal` gives. Its place is authenticated with it. Plaintext of an entry: length of meta
 * (uint16, little-endian), meta, update.
 */

/** Seals values of one place. Keeps what they have in common. */
export class Sealer {
  readonly #place: Place
  #key: DataKey | undefined
  #header: Uint8Array = new Uint8Array()

  constructor(place: Place) {
    this.#place = place
  }

  seal(key: DataKey, plaintext: Uint8Array, revision: Revision): Uint8Array {
    if (key !== this.#key) {
      const incarnation = Buffer.from(this.#place.incarnation)
      this.#header = Buffer.concat([
        headerOf(this.#place.kind),
        Uint8Array.of(incarnation.length),
        incarnation,
        key.envelope,
      ])
      this.#key = key
    }
    return key.seal(plaintext, this.#place.at(revision), this.#header)
  }

  /** Everything of an entry but its time and place is hidden, who made it included. `meta` is its JSON. */
  sealEntry(key: DataKey, entry: NewEntry, meta: Uint8Array, revision: Revision): NewEntry {
    const { update } = entry
    const length = 2 + meta.length + update.length
    const plaintext = length <= scratch.length ? scratch.subarray(0, length) : new Uint8Array(length)
    plaintext[0] = meta.length
    plaintext[1] = meta.length >> 8
    plaintext.set(meta, 2)
    plaintext.set(update, 2 + meta.length)
    return {
      update: this.seal(key, plaintext, revision),
      meta: { author: '', committedAtMs: entry.meta.committedAtMs },
    }
  }
}

export interface OpenedValue {
  readonly plaintext: Uint8Array
  readonly incarnation: string
  readonly key: DataKey
}

/**
 * Rejects with `store-corrupt`, naming document and value, when it does not authenticate: it was changed, or belongs
 * elsewhere; with `store-misconfigured` when it is not encrypted at all, or under a key that is not in the ring.
 */
export async function openValue(
  keys: DataKeys,
  value: Uint8Array,
  {
    kind,
    documentId,
    revision,
  }: { readonly kind: number; readonly documentId: string; readonly revision: Revision },
  what: string,
): Promise<OpenedValue> {
  const found = kindOf(value)
  if (found === undefined)
    throw new PolyphonyError(
      'store-misconfigured',
      `"${documentId}" is not encrypted, and a store is encrypted as a whole or not at all: use it without encryption ` +
        'keys, or bring its documents into a new, encrypted store.',
      { documentId, extra: { record: what } },
    )
  if (found !== kind) throw corrupt({ documentId, what }, 'it is of another kind')
  try {
    const incarnationAt = kindBytes + 1
    const incarnationEnd = incarnationAt + (value[kindBytes] ?? 0)
    const incarnation = decoder.decode(value.subarray(incarnationAt, incarnationEnd))
    const key = await keys.find(value.subarray(incarnationEnd))
    const sealed = value.subarray(incarnationEnd + key.envelope.length)
    const plaintext = key.open(sealed, new Place(kind, documentId, incarnation).at(revision))
    return { plaintext, incarnation, key }
  } catch (error) {
    if (isPolyphonyError(error)) throw error
    throw corrupt({ documentId, what }, 'it does not authenticate: it was changed, or belongs elsewhere')
  }
}

export async function openEntry(
  keys: DataKeys,
  documentId: string,
  { revision, update }: LogEntry,
): Promise<{ readonly entry: LogEntry; readonly incarnation: string }> {
  const place = { kind: valueKind.sealedEntry, documentId, revision }
  const { plaintext, incarnation } = await openValue(keys, update, place, `entry ${revision}`)
  const metaEnd = 2 + (plaintext[0] ?? 0) + 256 * (plaintext[1] ?? 0)
  // Authenticated, so it is what `sealEntry` was given.
  const meta = JSON.parse(decoder.decode(plaintext.subarray(2, metaEnd))) as EntryMeta
  return { entry: { revision, update: plaintext.subarray(metaEnd), meta }, incarnation }
}

// Used within one turn only.
const scratch = new Uint8Array(16 << 10)
const decoder = new TextDecoder()

import { isPolyphonyError, PolyphonyError } from '@polyphony/core'
import type { Revision } from '../document-store.ts'
import { corrupt } from '../record.ts'
import type { DataKey, DataKeys } from './data-keys.ts'
import { Place } from './place.ts'
import { headerOf, kindBytes, kindOf } from './value-kind.ts'

/*
 * An encrypted value: its kind (`headerOf`), the incarnation it was written in (after its length in a byte), the envelope of
 * the data key, and what `DataKey.seal` gives. Its place is authenticated with it.
 */

/** Seals values of one kind of one document. Keeps what they have in common. */
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

const decoder = new TextDecoder()

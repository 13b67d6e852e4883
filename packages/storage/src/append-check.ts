import { PolyphonyError, limitTable, parseDocumentId, toPolyphonyError } from '@polyphony/core'
import type { Append, EntryMeta, Head, NewEntry } from './document-store.ts'
import { assertCondition, refuseHead } from './head-condition.ts'

/** Misuse of `append` by the programmer, which no retry can mend: throws `TypeError`. */
export function assertBatch(batch: readonly Append[]): void {
  const seen = new Set<string>()
  for (const append of batch) {
    const { documentId, entries } = append
    if (seen.has(documentId)) throw new TypeError(`"${documentId}" appears twice in one batch`)
    seen.add(documentId)
    if (entries.length === 0) throw new TypeError(`The append to "${documentId}" has no entries`)
    assertCondition(append)
  }
}

/** Why an append is refused whatever the head, or `undefined`. The same words for every store. */
export function refuseAppend({ documentId, entries }: Append): PolyphonyError | undefined {
  try {
    parseDocumentId(documentId)
    encodeMetas(entries, documentId)
    return undefined
  } catch (error) {
    return toPolyphonyError(error, 'invalid-value', { documentId })
  }
}

/** Why an append is refused at this head, or `undefined`. Stores call it where nothing can change the head meanwhile. */
export function refuseAppendAt(append: Append, head: Head | undefined): PolyphonyError | undefined {
  if (head?.tombstone !== undefined) return documentDeleted(append.documentId)
  return refuseHead(append.documentId, append, head)
}

/** The JSON of an entry's meta as UTF-8. Throws `invalid-value` when it exceeds its limit or is no JSON. */
export function encodeMeta(meta: EntryMeta, documentId?: string): Uint8Array {
  return encodeJson(stringifyMeta(meta, documentId), documentId)
}

/** `encodeMeta` of each entry; neighbours with equal metas share the bytes, those with the same object at no cost. */
export function encodeMetas(entries: readonly NewEntry[], documentId?: string): readonly Uint8Array[] {
  let last: EntryMeta | undefined
  let json: string | undefined
  let bytes: Uint8Array = new Uint8Array()
  return entries.map(({ meta }) => {
    if (meta === last) return bytes
    last = meta
    const next = stringifyMeta(meta, documentId)
    if (next !== json) bytes = encodeJson(next, documentId)
    json = next
    return bytes
  })
}

function encodeJson(json: string, documentId: string | undefined): Uint8Array {
  const bytes = encodeText(json)
  const max = limitTable.entryMetaBytesMax.default
  if (bytes.length <= max) return bytes
  const message = `An entry's meta has at most ${max} bytes, not ${bytes.length}.`
  throw new PolyphonyError('invalid-value', message, { documentId, limit: 'entryMetaBytesMax' })
}

/** For short ASCII several times as fast as the encoder. */
function encodeText(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit > 127) return textEncoder.encode(text)
    bytes[at] = unit
  }
  return bytes
}

/** A deleted document refuses every write but `create`. */
export function documentDeleted(documentId: string): PolyphonyError {
  return new PolyphonyError('document-deleted', `"${documentId}" was deleted; create it to use it again.`, {
    documentId,
  })
}

function stringifyMeta(meta: EntryMeta, documentId: string | undefined): string {
  try {
    return JSON.stringify(meta)
  } catch (error) {
    throw toPolyphonyError(error, 'invalid-value', { documentId })
  }
}

const textEncoder = new TextEncoder()

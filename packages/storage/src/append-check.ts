import { PolyphonyError, limitTable, parseDocumentId, toPolyphonyError } from '@polyphony/core'
import type { Append, EntryMeta, Head } from './document-store.ts'
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
    for (const { meta } of entries) encodeMeta(meta, documentId)
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
  const bytes = textEncoder.encode(stringifyMeta(meta, documentId))
  const max = limitTable.entryMetaBytesMax.default
  if (bytes.length > max) {
    throw new PolyphonyError(
      'invalid-value',
      `An entry's meta has at most ${max} bytes, not ${bytes.length}.`,
      {
        documentId,
        limit: 'entryMetaBytesMax',
      },
    )
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

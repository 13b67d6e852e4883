import type { DocumentInfo, ListQuery } from './document-store.ts'

/** Compares two document ids by their UTF-8 bytes, as `list` orders them. */
export function compareDocumentIds(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at)
    const b = right.charCodeAt(at)
    if (a !== b) return rank(a) - rank(b)
  }
  return left.length - right.length
}

/** Whether `list(query)` has this document in it, `limit` aside. */
export function matchesQuery(info: DocumentInfo, query: ListQuery): boolean {
  const { prefix, after, deleted } = query
  return (
    (prefix === undefined || info.documentId.startsWith(prefix)) &&
    (after === undefined || compareDocumentIds(info.documentId, after) > 0) &&
    (deleted === true || info.tombstone === undefined)
  )
}

/** UTF-8 orders by code point: the surrogates of UTF-16 go above everything else. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

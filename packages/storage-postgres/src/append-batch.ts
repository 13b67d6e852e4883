import { encodeEntry, encodeMeta, type Append, type LogPosition } from '@polyphony/storage'

/** Many appends as the values of one statement: columns of documents, columns of entries, and all bytes in one piece. */
export interface AppendBatch {
  /** In the order of `batchColumns`. */
  readonly values: readonly unknown[]
}

/** What the statements call the values. `entry_at` counts from 1, as `substring` does. */
export const batchColumns = `
  input AS (
    SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[])
      WITH ORDINALITY AS t(id, count, bytes, expect, wanted, fresh, seen_incarnation, seen_revision, seen_mark, number)
  ),
  new_entries AS (
    SELECT * FROM unnest($11::int[], $12::int[], $13::bigint[], $14::int[], $15::int[])
      AS t(document_number, entry_number, start, entry_at, length)
  )`

/** The mark that the statements give every entry, and the bytes of all records. */
export const markValue = '$1::text'
export const recordsValue = '$16::bytea'

/** Encodes appends; `fresh` gives an incarnation for a document that comes into being. */
export function encodeBatch(
  appends: readonly Append[],
  mark: string,
  seenOf: (documentId: string) => LogPosition | undefined,
  fresh: () => string,
): AppendBatch {
  const documents = appends.map((append) => encodeAppend(append, seenOf(append.documentId)))
  const entries = documents.flatMap(({ records, sizes }, index) => {
    let start = 0
    return records.map((record, number) => {
      const row = { document: index + 1, number: number + 1, start, record }
      start += sizes[number] ?? 0
      return row
    })
  })
  let at = 1
  const places = entries.map(({ record }) => {
    const place = at
    at += record.length
    return place
  })
  return {
    values: [
      mark,
      appends.map(({ documentId }) => documentId),
      appends.map((append) => append.entries.length),
      documents.map(({ sizes }) => sizes.reduce((sum, size) => sum + size, 0)),
      appends.map(({ expect }) => expect ?? null),
      appends.map(({ incarnation }) => incarnation ?? null),
      appends.map(fresh),
      documents.map(({ seen }) => seen?.incarnation ?? null),
      documents.map(({ seen }) => seen?.revision ?? null),
      documents.map(({ seen }) => seen?.mark ?? null),
      entries.map(({ document }) => document),
      entries.map(({ number }) => number),
      entries.map(({ start }) => start),
      places,
      entries.map(({ record }) => record.length),
      Buffer.concat(entries.map(({ record }) => record)),
    ],
  }
}

/** Whether the log of `documents d` is another one than `input i` has seen; see `LogPosition`. */
export function isBroken(entriesTable: string): string {
  return `coalesce(i.seen_revision > 0 AND d.incarnation = i.seen_incarnation AND (d.revision < i.seen_revision OR
    CASE WHEN i.seen_mark IS NULL THEN false
      WHEN d.revision = i.seen_revision THEN d.mark <> i.seen_mark
      ELSE EXISTS (SELECT FROM ${entriesTable} e WHERE e.document = d.key AND e.revision = i.seen_revision AND e.mark <> i.seen_mark)
    END), false)`
}

function encodeAppend({ documentId, entries }: Append, seen: LogPosition | undefined) {
  const context = Buffer.from(documentId)
  return {
    seen,
    sizes: entries.map(({ update }) => update.length),
    // The offset is known to the database only, and kept beside the record.
    records: entries.map(({ update, meta }) =>
      encodeEntry({ meta: encodeMeta(meta), offset: 0, update }, context),
    ),
  }
}

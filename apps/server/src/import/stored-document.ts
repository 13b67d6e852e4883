import { PolyphonyError } from '@polyphony/core'
import { decodeUpdateSeries, isCheckpoint, type DocumentStore, type Head } from '@polyphony/storage'
import { Doc, applyUpdate } from 'yjs'

/** A document as the store has it. */
export interface StoredDocument {
  readonly doc: Doc
  readonly revision: number
  readonly incarnation: string
}

/**
 * Reads a document; `undefined` when it never existed. Throws `document-deleted` for a tombstone. In memory it takes
 * several times its bytes.
 */
export async function readStoredDocument(
  store: DocumentStore,
  documentId: string,
): Promise<StoredDocument | undefined> {
  const head = await store.head(documentId)
  if (head === undefined) return undefined
  assertAlive(documentId, head)
  const updates: Uint8Array[] = []
  let revision = 0
  for await (const item of store.read(documentId)) {
    revision = item.revision
    if (!isCheckpoint(item)) updates.push(item.update)
    else for await (const update of decodeUpdateSeries(item.state, documentId)) updates.push(update)
  }
  const doc = new Doc()
  doc.transact(() => {
    for (const update of updates) applyUpdate(doc, update)
  })
  return { doc, revision, incarnation: head.incarnation }
}

function assertAlive(documentId: string, { tombstone }: Head): void {
  if (tombstone === undefined) return
  const when = new Date(tombstone.deletedAtMs).toISOString()
  throw new PolyphonyError(
    'document-deleted',
    `it was deleted in the store at ${when}, and a deletion is undone only by whoever creates it again there`,
    { documentId },
  )
}

import { corrupt } from '@polyphony/storage'
import { checkpointKey, compareKeys, documentEntries, headKey } from './keys.ts'
import { nameDocument, type LevelDatabase, type Snapshot } from './level-database.ts'
import { decodeHead, type StoredHead } from './stored-head.ts'

/**
 * Reads a head and holds it against the log. Damage in a table can make a key vanish, or let an older value of it shine
 * through; then the next append would write over what is there. Three look-ups, mostly from memory. Throws
 * `store-corrupt`, naming the document.
 */
export async function loadHead(
  database: LevelDatabase,
  documentId: string,
  snapshot?: Snapshot,
): Promise<StoredHead | undefined> {
  const key = headKey(documentId)
  try {
    for (;;) {
      const record = await database.get(key, snapshot)
      const head = record === undefined ? undefined : decodeHead(record, documentId)
      const problem = await findContradiction(database, documentId, head, snapshot)
      if (problem === undefined) return head
      // Without a snapshot it may be that the document has changed between two look-ups.
      const again = await database.get(key, snapshot)
      if (isSame(record, again)) throw corrupt({ documentId, what: 'head' }, problem)
    }
  } catch (error) {
    throw nameDocument(error, documentId)
  }
}

async function findContradiction(
  database: LevelDatabase,
  documentId: string,
  head: StoredHead | undefined,
  snapshot: Snapshot,
): Promise<string | undefined> {
  if (head === undefined) {
    const checkpoint = await database.get(checkpointKey(documentId), snapshot)
    const entries = await database.keys(documentEntries(documentId), 1, snapshot)
    return checkpoint === undefined && entries.length === 0
      ? undefined
      : 'it is missing, but the document has content'
  }
  const { revision, first, keys, deletedAtMs } = head
  if (deletedAtMs !== undefined) return undefined
  if ((await database.get(keys.entry(revision + 1), snapshot)) !== undefined)
    return `it says ${revision}, but the log goes on`
  if (revision >= first && (await database.get(keys.entry(revision), snapshot)) === undefined)
    return `it says ${revision}, but that entry is missing`
  return undefined
}

function isSame(left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left === undefined || right === undefined ? left === right : compareKeys(left, right) === 0
}

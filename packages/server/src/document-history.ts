import { isPolyphonyError, PolyphonyError } from '@polyphony/core'
import { documentDeleted, isCheckpoint, type DocumentStore, type Revision } from '@polyphony/storage'

/** What the log says about one of its entries, besides the edit itself. */
export interface HistoryEntry {
  readonly revision: Revision
  readonly author: string
  /** The run of an agent that it was made in. */
  readonly runId: string | undefined
  readonly committedAtMs: number
  /** Bytes of the Yjs update. */
  readonly bytes: number
}

export interface HistoryQuery {
  /** Only entries older than this one; absent: from the newest. */
  readonly before?: Revision | undefined
  readonly limit: number
}

export interface HistoryPage {
  readonly incarnation: string
  /** The newest first. */
  readonly entries: readonly HistoryEntry[]
  /** Whether older entries are there. False also where they are no longer retained. */
  readonly hasMore: boolean
}

/**
 * Who changed a document when, out of its log, as far back as entries are retained. Reads the updates too, one at a time.
 * Rejects with `document-not-found`, `document-deleted`, or what the store rejects with.
 */
export async function readHistory(
  store: DocumentStore,
  documentId: string,
  { before, limit }: HistoryQuery,
): Promise<HistoryPage> {
  const head = await store.head(documentId)
  if (head === undefined)
    throw new PolyphonyError('document-not-found', `There is no document "${documentId}".`, { documentId })
  if (head.tombstone !== undefined) throw documentDeleted(documentId)
  const upTo = Math.min(head.revision, before === undefined ? head.revision : before - 1)
  const { incarnation } = head
  // Below what is retained the store gives a checkpoint instead of entries: then fewer of them are asked for.
  for (let count = Math.min(limit, upTo); count > 0; count = Math.floor(count / 2)) {
    const entries = await readEntries(store, documentId, { after: upTo - count, upTo })
    if (entries !== undefined) return { incarnation, entries: entries.toReversed(), hasMore: upTo > count }
  }
  return { incarnation, entries: [], hasMore: false }
}

/** `undefined` when not all of them are retained. */
async function readEntries(
  store: DocumentStore,
  documentId: string,
  range: { readonly after: Revision; readonly upTo: Revision },
): Promise<HistoryEntry[] | undefined> {
  const entries: HistoryEntry[] = []
  try {
    for await (const item of store.read(documentId, range)) {
      if (isCheckpoint(item)) return undefined
      const { revision, update, meta } = item
      const { author, runId, committedAtMs } = meta
      entries.push({ revision, author, runId, committedAtMs, bytes: update.byteLength })
    }
  } catch (error) {
    if (isPolyphonyError(error) && error.code === 'revision-expired') return undefined
    throw error
  }
  return entries
}

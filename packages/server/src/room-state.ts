import { PolyphonyError } from '@polyphony/core'
import {
  decodeUpdateSeries,
  documentDeleted,
  isCheckpoint,
  type DocumentStore,
  type EntryMeta,
} from '@polyphony/storage'
import type { RoomState } from './room-options.ts'

/** How many entries below a checkpoint are searched for idempotency keys; fewer when not all of them are retained. */
const keyWindows = [1_000, 200, 40, 8]

/**
 * Reads what a room starts from. Another node may delete and create the document meanwhile; then what was read belongs to
 * no life of it, and is read again. Rejects with `document-deleted` for a tombstone.
 */
export async function readRoomState(store: DocumentStore, documentId: string): Promise<RoomState> {
  for (let tries = 0; tries < 3; tries++) {
    const state = await readOnce(store, documentId)
    const head = await store.head(documentId)
    if (head?.incarnation === state.incarnation) return state
  }
  throw new PolyphonyError('store-failed', `"${documentId}" changes its incarnation while it is read.`, {
    documentId,
  })
}

async function readOnce(store: DocumentStore, documentId: string): Promise<RoomState> {
  const head = await store.head(documentId)
  if (head?.tombstone !== undefined) throw documentDeleted(documentId)
  const tail: { revision: number; update: Uint8Array; meta: EntryMeta }[] = []
  const base: Uint8Array[] = []
  let baseRevision = 0
  for await (const item of store.read(documentId)) {
    if (isCheckpoint(item)) {
      for await (const update of decodeUpdateSeries(item.state, documentId)) base.push(update)
      baseRevision = item.revision
    } else {
      tail.push(item)
    }
  }
  const keys = await readKeys(store, documentId, baseRevision)
  return { incarnation: head?.incarnation, base, baseRevision, tail, keys }
}

/**
 * Reads the newest checkpoint again, update by update, and gives its revision; 0 when there is none. `visit` is called
 * with each update and that revision.
 */
export async function readBase(
  store: DocumentStore,
  documentId: string,
  visit: (update: Uint8Array, revision: number) => void,
): Promise<number> {
  for await (const item of store.read(documentId)) {
    if (!isCheckpoint(item)) return 0
    for await (const update of decodeUpdateSeries(item.state, documentId)) visit(update, item.revision)
    return item.revision
  }
  return 0
}

/** A checkpoint holds no idempotency keys; the entries that it covers do, for as long as they are retained. */
async function readKeys(store: DocumentStore, documentId: string, upTo: number): Promise<RoomState['keys']> {
  for (const window of upTo === 0 ? [] : keyWindows) {
    const keys: { key: string; revision: number }[] = []
    let isRetained = true
    for await (const item of store.read(documentId, { after: Math.max(0, upTo - window), upTo })) {
      if (isCheckpoint(item)) isRetained = false
      else if (item.meta.idempotencyKey !== undefined)
        keys.push({ key: item.meta.idempotencyKey, revision: item.revision })
    }
    if (isRetained) return keys
  }
  return []
}

import { IdSet } from '@polyphony/core'
import * as Y from 'yjs'

/** What a Yjs update carries, as ids: one unit is a character, an element, or a member. */
export interface UpdateIds {
  readonly inserted: IdSet
  readonly deleted: IdSet
}

/** The ids in an update (format v1). O(structs). Throws what Yjs throws when the bytes are no update. */
export function updateIds(update: Uint8Array): UpdateIds {
  const { structs, ds } = Y.decodeUpdate(update)
  const inserted = new IdSet()
  const deleted = new IdSet()
  for (const struct of structs)
    // A skip stands for what the update does not have.
    if (!(struct instanceof Y.Skip)) inserted.add(struct.id.client, struct.id.clock, struct.length)
  for (const [client, ranges] of ds.clients)
    for (const { clock, len } of ranges) deleted.add(client, clock, len)
  return { inserted, deleted }
}

/** Whether a document has everything in an update; it keeps what builds on something else aside until that comes. */
export function isIntegrated(doc: Y.Doc, update: Uint8Array): boolean {
  for (const ids of Object.values(updateIds(update)) as readonly IdSet[])
    for (const { client, clock, length } of ids.entries())
      if (clock + length > Y.getState(doc.store, client)) return false
  return true
}

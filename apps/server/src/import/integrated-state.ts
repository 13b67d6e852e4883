import * as Y from 'yjs'

/** What of a document stands on its own, and how much of it waits for updates that are missing. */
export interface IntegratedState {
  readonly doc: Y.Doc
  /** The whole of it as one Yjs update (format v1). */
  readonly update: Uint8Array
  readonly isEmpty: boolean
  /** Bytes of updates that cannot be integrated, because what they build on was lost. */
  readonly pendingBytes: number
}

/**
 * Takes what is pending out of the document, for good: a log entry has to integrate on its own, and
 * `Y.encodeStateAsUpdate` would hand the pending bytes on.
 */
export function integratedState(doc: Y.Doc): IntegratedState {
  const { store } = doc
  const pendingBytes = (store.pendingStructs?.update.length ?? 0) + (store.pendingDs?.length ?? 0)
  store.pendingStructs = null
  store.pendingDs = null
  const { ds, sv } = Y.snapshot(doc)
  const isEmpty = sv.size === 0 && ds.clients.size === 0
  return { doc, update: Y.encodeStateAsUpdate(doc), isEmpty, pendingBytes }
}

/**
 * How a document that is there relates to one that comes in: `equal`, has it all and more (`contains`), or `lacks` some
 * of it. Decided by the ids of what was inserted and deleted. O(items).
 */
export function relationOf(existing: Y.Doc, incoming: Y.Doc): 'equal' | 'contains' | 'lacks' {
  const there = Y.snapshot(existing)
  const here = Y.snapshot(incoming)
  if (Y.equalSnapshots(there, here)) return 'equal'
  for (const [client, clock] of here.sv) {
    if ((there.sv.get(client) ?? 0) < clock) return 'lacks'
  }
  return Y.equalDeleteSets(Y.mergeDeleteSets([there.ds, here.ds]), there.ds) ? 'contains' : 'lacks'
}

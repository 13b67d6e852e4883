import * as Y from 'yjs'

export interface CompactedState {
  readonly state: Uint8Array
  readonly stateVector: Uint8Array
}

/** Makes checkpoints. Asynchronous, so that the work can be done elsewhere. */
export interface Compactor {
  /** The document after all the updates, as one update, with the content of deleted items collected. */
  compact(updates: readonly Uint8Array[]): Promise<CompactedState>
  close(): Promise<void>
}

/** Compacts right here. Cost: 2 to 3 µs for each struct, during which nothing else runs. */
export function compact(updates: readonly Uint8Array[]): CompactedState {
  const doc = new Y.Doc({ gc: true })
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update)
  })
  const compacted = { state: Y.encodeStateAsUpdate(doc), stateVector: Y.encodeStateVector(doc) }
  doc.destroy()
  return compacted
}

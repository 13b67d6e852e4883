import type { DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import * as Y from 'yjs'
import { readStoredDocument } from '../../src/import/stored-document.ts'

/** Every document of a store, as state that can be compared. */
export async function statesOf(store: DocumentStore): Promise<Map<string, Uint8Array>> {
  const states = new Map<string, Uint8Array>()
  for await (const { documentId } of store.list()) {
    const stored = await readStoredDocument(store, documentId)
    if (stored !== undefined) states.set(documentId, Y.encodeStateAsUpdate(stored.doc))
  }
  return states
}

/** The same for a store in a directory, which nobody else has open. */
export async function levelStates(directory: string): Promise<Map<string, Uint8Array>> {
  return withLevel(directory, statesOf)
}

export async function withLevel<T>(
  directory: string,
  task: (store: DocumentStore) => Promise<T>,
): Promise<T> {
  const store = await openLevelStore(directory)
  try {
    return await task(store)
  } finally {
    await store.close()
  }
}

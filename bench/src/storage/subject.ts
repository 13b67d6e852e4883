/** What is measured: a store, opened on a place of its own. */
export interface Subject {
  /** Calls `done` once the store says that it has the update. */
  append(documentId: string, update: Uint8Array, done: () => void): void
  /** Stores the state in this file, a Yjs update, as what the document is now. The document exists. */
  save(documentId: string, file: string): Promise<void>
  /** Reads a document to its end, in the way that is meant for serving it. Resolves to the bytes that came. */
  load(documentId: string): Promise<number>
  bytesOnDisk(): Promise<number>
  /** Writes what is still due. */
  close(): Promise<void>
}

/** Where a subject keeps its data; nobody else does. */
export interface Place {
  readonly directory: string
  /** Of servers that keep every append (`always`), and one that waits a second. */
  readonly redisUrl: string
  readonly redisEverysecUrl: string
  readonly postgresUrl: string
  /** For keys and schemas: letters, digits. */
  readonly name: string
}

export type OpenSubject = (place: Place) => Promise<Subject>

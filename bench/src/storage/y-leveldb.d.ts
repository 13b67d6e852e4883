/** What the benchmark uses of y-leveldb, whose package names types that it does not export. */
declare module 'y-leveldb' {
  import type { Doc } from 'yjs'

  export class LeveldbPersistence {
    constructor(location: string)
    storeUpdate(documentName: string, update: Uint8Array): Promise<number>
    getYDoc(documentName: string): Promise<Doc>
    destroy(): Promise<void>
  }
}

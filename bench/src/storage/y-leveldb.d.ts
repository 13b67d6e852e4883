/** What the benchmark uses of y-leveldb, whose package names types that it does not export. */
declare module 'y-leveldb' {
  export class LeveldbPersistence {
    constructor(location: string)
    storeUpdate(documentName: string, update: Uint8Array): Promise<number>
    destroy(): Promise<void>
  }
}

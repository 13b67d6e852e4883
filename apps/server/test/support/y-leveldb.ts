import type { Doc } from 'yjs'

/** What the tests use of `y-leveldb`, whose types its package does not lead to. */
export interface LeveldbPersistence {
  storeUpdate(name: string, update: Uint8Array): Promise<unknown>
  getYDoc(name: string): Promise<Doc>
  destroy(): Promise<void>
}

/** Opens a database of the real package; it comes into being. */
export async function openLeveldbPersistence(directory: string): Promise<LeveldbPersistence> {
  const name: string = 'y-leveldb'
  const { LeveldbPersistence } = (await import(/* @vite-ignore */ name)) as {
    LeveldbPersistence: new (location: string) => LeveldbPersistence
  }
  return new LeveldbPersistence(directory)
}

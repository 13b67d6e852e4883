import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isCheckpoint, MemoryStore, type DocumentStore } from '@polyphony/storage'
import { compressed, encrypted, generateKeyLine, parseKeyRing } from '@polyphony/storage/node'
import { openLevelStore } from '@polyphony/storage-level'
import { LeveldbPersistence } from 'y-leveldb'

/** What is measured, opened on a fresh directory. */
export interface Subject {
  append(documentId: string, update: Uint8Array): Promise<void>
  /** Absent for those that know no checkpoints. */
  readonly store?: DocumentStore
  bytesOnDisk(): Promise<number>
  /** Closes it, and removes its directory. */
  remove(): Promise<void>
}

const keys = parseKeyRing(generateKeyLine('bench'))

/** By name. `fsync` says whether an answer means that the disk has it. */
export const subjects: Readonly<Record<string, () => Promise<Subject>>> = {
  memory: () => ours(async () => new MemoryStore()),
  'level, fsync': () => ours((directory) => openLevelStore(directory)),
  'level, no fsync': () => ours((directory) => openLevelStore(directory, { fsync: false })),
  'compressed, no fsync': () =>
    ours(async (directory) => compressed(await openLevelStore(directory, { fsync: false }))),
  'encrypted, no fsync': () =>
    ours(async (directory) => encrypted(await openLevelStore(directory, { fsync: false }), keys)),
  'compressed(encrypted), no fsync': () =>
    ours(async (directory) => compressed(encrypted(await openLevelStore(directory, { fsync: false }), keys))),
  'compressed(encrypted), fsync': () =>
    ours(async (directory) => compressed(encrypted(await openLevelStore(directory), keys))),
  'y-leveldb (no fsync)': yLeveldb,
}

async function ours(open: (directory: string) => Promise<DocumentStore>): Promise<Subject> {
  const directory = await mkdtemp(join(tmpdir(), 'polyphony-bench-'))
  const store = await open(directory)
  return {
    store,
    append: async (documentId, update) => {
      const meta = { author: 'ann', committedAtMs: Date.now() }
      const [result] = await store.append([{ documentId, entries: [{ update, meta }] }])
      if (result?.ok !== true) throw result?.error ?? new Error('append gave no result')
    },
    bytesOnDisk: () => directoryBytes(directory),
    remove: async () => {
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}

async function yLeveldb(): Promise<Subject> {
  const directory = await mkdtemp(join(tmpdir(), 'polyphony-bench-'))
  const persistence = new LeveldbPersistence(directory)
  return {
    append: async (documentId, update) => {
      await persistence.storeUpdate(documentId, update)
    },
    bytesOnDisk: () => directoryBytes(directory),
    remove: async () => {
      await persistence.destroy()
      await rm(directory, { recursive: true })
    },
  }
}

/** Reads a document to its end, keeping nothing; gives the bytes. */
export async function readThrough(store: DocumentStore, documentId: string): Promise<number> {
  let bytes = 0
  for await (const item of store.read(documentId)) {
    if (isCheckpoint(item)) for await (const chunk of item.state) bytes += chunk.length
    else bytes += item.update.length
  }
  return bytes
}

async function directoryBytes(directory: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

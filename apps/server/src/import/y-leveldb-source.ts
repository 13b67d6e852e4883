import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Doc, applyUpdate } from 'yjs'
import { StartError } from '../start-error.ts'
import type { ImportSource, SourceDocument } from './import-source.ts'
import { loadOptionalPackage } from './optional-package.ts'

/** What is used of `y-leveldb` 0.2, whose types its package does not lead to. */
interface YLeveldb {
  readonly LeveldbPersistence: new (
    location: string,
    options: { readonly levelOptions: { readonly createIfMissing: boolean } },
  ) => Persistence
  readonly getAllDocsKeys: (database: Database) => Promise<readonly (readonly [string, string])[]>
  readonly getLevelUpdates: (database: Database, name: string) => Promise<readonly Uint8Array[]>
}

interface Persistence {
  _transact<T>(task: (database: Database) => Promise<T>): Promise<T>
}

interface Database {
  open(): Promise<void>
  close(): Promise<void>
}

/**
 * The documents in a directory of y-leveldb. They are read by its own functions, but not by its `getYDoc`: that one
 * rewrites documents of more than 500 updates, and answers `null` when reading fails. Throws a `StartError` when the
 * directory is none of a LevelDB, or in use.
 */
export async function openYLeveldbSource(directory: string): Promise<ImportSource> {
  const title = `y-leveldb in ${directory}`
  // LevelDB would make what is not there.
  if (!existsSync(join(directory, 'CURRENT')))
    throw new StartError(
      `There is no LevelDB database in ${directory}: name the directory that y-leveldb writes to.`,
    )
  const { LeveldbPersistence, getAllDocsKeys, getLevelUpdates } = await loadOptionalPackage<YLeveldb>(
    'y-leveldb',
    '0.2.0',
  )
  const persistence = new LeveldbPersistence(directory, { levelOptions: { createIfMissing: false } })
  // Only the database itself tells of errors.
  const database = await new Promise<Database>((resolve) => {
    void persistence._transact(async (database) => resolve(database))
  })
  try {
    await database.open()
  } catch (error) {
    throw new StartError(explain(error, directory), { cause: error })
  }
  return {
    title,
    layout: () => ({}),
    async names() {
      return (await getAllDocsKeys(database)).map(([, name]) => name)
    },
    async load(name): Promise<SourceDocument> {
      const updates = await getLevelUpdates(database, name)
      if (updates.length === 0) throw new Error('the source lists it, but has no updates of it')
      const doc = new Doc()
      doc.transact(() => {
        for (const update of updates) applyUpdate(doc, update)
      })
      return { doc }
    },
    close: () => database.close(),
  }
}

function explain(error: unknown, directory: string): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const message = cause instanceof Error ? cause.message : String(cause)
  const isLocked = /lock/i.test(message)
  return isLocked
    ? `The y-leveldb database in ${directory} is open in another process: stop that server, or import from a copy of the directory.`
    : `The y-leveldb database in ${directory} cannot be opened: ${message}`
}

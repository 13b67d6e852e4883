import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LeveldbPersistence } from 'y-leveldb'
import { RedisPersistence, type PersistenceDoc } from 'y-redis'
import * as Y from 'yjs'
import { directoryBytes, redisBytes } from './disk-usage.ts'
import type { OpenSubject, Subject } from './subject.ts'

/** The peers, each used as the server that it is made for uses it. */
export const peerSubjects: Readonly<Record<string, OpenSubject>> = {
  'y-leveldb (no fsync)': async ({ directory }) => new YLeveldb(directory),
  'y-redis, appendfsync always': ({ redisUrl }) => YRedis.open(redisUrl),
  'hocuspocus sqlite, debounced 2 s': ({ directory }) => HocuspocusSqlite.open(directory, 2_000),
  'hocuspocus sqlite, at each update': ({ directory }) => HocuspocusSqlite.open(directory, 0),
}

/** An update is one record, written without waiting for the disk. Its own read makes a `Y.Doc`. */
class YLeveldb implements Subject {
  readonly #directory: string
  readonly #persistence: LeveldbPersistence

  constructor(directory: string) {
    this.#directory = directory
    this.#persistence = new LeveldbPersistence(directory)
  }

  append(documentId: string, update: Uint8Array, done: () => void): void {
    void this.#append(documentId, update, done)
  }

  async #append(documentId: string, update: Uint8Array, done: () => void): Promise<void> {
    await this.#persistence.storeUpdate(documentId, update)
    done()
  }

  async save(documentId: string, file: string): Promise<void> {
    await this.#persistence.storeUpdate(documentId, await readFile(file))
  }

  async load(documentId: string): Promise<number> {
    const doc = await this.#persistence.getYDoc(documentId)
    return stateBytes(doc)
  }

  bytesOnDisk(): Promise<number> {
    return directoryBytes(this.#directory)
  }

  close(): Promise<void> {
    return this.#persistence.destroy()
  }
}

/**
 * A bound `Y.Doc` pushes each of its updates to a list and publishes its length. The package tells nobody when Redis has
 * it, so `done` follows its own handler by asking the same connection, which answers in order.
 */
class YRedis implements Subject {
  readonly #url: string
  readonly #bytesBefore: number
  readonly #persistence: RedisPersistence
  readonly #bound = new Map<string, PersistenceDoc>()
  readonly #synced = new Set<PersistenceDoc>()

  static async open(url: string): Promise<YRedis> {
    return new YRedis(url, await redisBytes(url))
  }

  private constructor(url: string, bytesBefore: number) {
    this.#url = url
    this.#bytesBefore = bytesBefore
    const { hostname: host, port } = new URL(url)
    this.#persistence = new RedisPersistence({ redisOpts: { host, port: Number(port) } })
  }

  append(documentId: string, update: Uint8Array, done: () => void): void {
    void this.#push(this.#bind(documentId), update, done)
  }

  async save(documentId: string, file: string): Promise<void> {
    const bound = this.#bind(documentId)
    await bound.synced
    bound.updateHandler(await readFile(file))
    await this.#persistence.redis.ping()
  }

  async load(documentId: string): Promise<number> {
    const doc = new Y.Doc()
    await this.#persistence.bindState(documentId, doc).synced
    return stateBytes(doc)
  }

  async bytesOnDisk(): Promise<number> {
    return (await redisBytes(this.#url)) - this.#bytesBefore
  }

  async close(): Promise<void> {
    await this.#persistence.destroy()
  }

  async #push(bound: PersistenceDoc, update: Uint8Array, done: () => void): Promise<void> {
    if (!this.#synced.has(bound)) {
      await bound.synced
      this.#synced.add(bound)
    }
    bound.updateHandler(update)
    await this.#persistence.redis.ping()
    done()
  }

  #bind(documentId: string): PersistenceDoc {
    const bound = this.#bound.get(documentId) ?? this.#persistence.bindState(documentId, new Y.Doc())
    this.#bound.set(documentId, bound)
    return bound
  }
}

/** What is used of `@hocuspocus/extension-sqlite`. */
interface SqliteExtension {
  onConfigure(): Promise<void>
  onStoreDocument(data: { readonly documentName: string; readonly document: Y.Doc }): Promise<void>
  onLoadDocument(data: { readonly documentName: string; readonly document: Y.Doc }): Promise<void>
  readonly db: { close(): void }
}

/**
 * Hocuspocus applies an update to its `Y.Doc`, acknowledges it, and hands the whole document to the extension `debounceMs`
 * after the last update, at the latest after 10 s. So `done` says nothing about the disk, unless `debounceMs` is 0: then
 * the whole state is stored at each update.
 */
class HocuspocusSqlite implements Subject {
  readonly #directory: string
  readonly #extension: SqliteExtension
  readonly #debounceMs: number
  readonly #documents = new Map<string, { readonly document: Y.Doc; dueMs: number; latestMs: number }>()
  readonly #timer: NodeJS.Timeout
  #stored: Promise<void> = Promise.resolve()

  static async open(directory: string, debounceMs: number): Promise<HocuspocusSqlite> {
    const { SQLite } = await importExtension()
    const extension = new SQLite({ database: join(directory, 'documents.sqlite') })
    await extension.onConfigure()
    return new HocuspocusSqlite(directory, extension, debounceMs)
  }

  private constructor(directory: string, extension: SqliteExtension, debounceMs: number) {
    this.#directory = directory
    this.#extension = extension
    this.#debounceMs = debounceMs
    this.#timer = setInterval(() => void this.#storeDue(Date.now()), 50)
  }

  append(documentId: string, update: Uint8Array, done: () => void): void {
    const known = this.#documents.get(documentId)
    const entry = known ?? { document: new Y.Doc(), dueMs: Infinity, latestMs: Infinity }
    if (known === undefined) this.#documents.set(documentId, entry)
    Y.applyUpdate(entry.document, update)
    if (this.#debounceMs === 0) {
      // One in each turn of the loop, which an extension that blocks it would otherwise not get to.
      const before = this.#stored
      this.#stored = (async () => {
        await before
        await new Promise((resolve) => setImmediate(resolve))
        await this.#store(documentId, entry.document)
        done()
      })()
      return
    }
    const now = Date.now()
    if (entry.latestMs === Infinity) entry.latestMs = now + 10_000
    entry.dueMs = Math.min(now + this.#debounceMs, entry.latestMs)
    setImmediate(done)
  }

  async save(documentId: string, file: string): Promise<void> {
    const document = this.#documents.get(documentId)?.document ?? new Y.Doc()
    Y.applyUpdate(document, await readFile(file))
    await this.#store(documentId, document)
  }

  async load(documentId: string): Promise<number> {
    const document = new Y.Doc()
    await this.#extension.onLoadDocument({ documentName: documentId, document })
    return stateBytes(document)
  }

  bytesOnDisk(): Promise<number> {
    return directoryBytes(this.#directory)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#storeDue(Infinity)
    this.#extension.db.close()
  }

  async #storeDue(now: number): Promise<void> {
    for (const [documentId, entry] of this.#documents) {
      if (entry.latestMs === Infinity || entry.dueMs > now) continue
      entry.dueMs = Infinity
      entry.latestMs = Infinity
      await this.#store(documentId, entry.document)
    }
  }

  #store(documentName: string, document: Y.Doc): Promise<void> {
    return this.#extension.onStoreDocument({ documentName, document })
  }
}

/** Whether `bench:storage:peers` has been run: the extension is built from source, which the other benchmarks do without. */
export function isHocuspocusInstalled(): boolean {
  return existsSync(new URL('node_modules/@hocuspocus/extension-sqlite', peersFolder))
}

async function importExtension(): Promise<{
  readonly SQLite: new (configuration: { readonly database: string }) => SqliteExtension
}> {
  const require = createRequire(new URL('package.json', peersFolder))
  return await import(pathToFileURL(require.resolve('@hocuspocus/extension-sqlite')).href)
}

const peersFolder = new URL('../../peers/', import.meta.url)

/** Length of the texts in it, which is what the large states consist of. */
function stateBytes(doc: Y.Doc): number {
  return doc.getText('text').length
}

import { systemClock, type Clock } from '@polyphony/core'
import { createPolyphonyServer, type PolyphonyServer, type PolyphonyServerOptions } from '@polyphony/server'
import { MemoryDisk, MemoryStore, isCheckpoint, type DocumentStore } from '@polyphony/storage'
import * as Y from 'yjs'

/** A server that can be stopped and started again on the same port and with the same documents. */
export class RestartableServer {
  readonly disk = new MemoryDisk()
  readonly #options: Partial<PolyphonyServerOptions>
  #server: PolyphonyServer | undefined
  #port = 0

  constructor(options: Partial<PolyphonyServerOptions> = {}) {
    this.#options = options
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get isRunning(): boolean {
    return this.#server !== undefined
  }

  get documents(): PolyphonyServer['documents'] {
    if (this.#server === undefined) throw new Error('The server is not running.')
    return this.#server.documents
  }

  async start(options: Partial<PolyphonyServerOptions> = {}): Promise<this> {
    this.#server = await createPolyphonyServer({
      store: new MemoryStore({ disk: this.disk }),
      ...this.#options,
      ...options,
      port: this.#port,
    })
    this.#port = this.#server.port
    return this
  }

  async stop(): Promise<void> {
    await this.#server?.close(2_000)
    this.#server = undefined
  }

  /** The document as its log has it: what is really committed. */
  async committed(documentId: string): Promise<Y.Doc> {
    return await readLog(new MemoryStore({ disk: this.disk }), documentId)
  }
}

/** A document made from nothing but the log of a store. */
export async function readLog(store: DocumentStore, documentId: string): Promise<Y.Doc> {
  const doc = new Y.Doc()
  for await (const item of store.read(documentId)) {
    if (!isCheckpoint(item)) Y.applyUpdate(doc, item.update)
    else for await (const state of item.state) Y.applyUpdate(doc, state)
  }
  return doc
}

/** Whether a document has everything that another one has. */
export function includes(whole: Y.Doc, part: Y.Doc): boolean {
  const before = Y.encodeStateVector(whole)
  const copy = new Y.Doc()
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(whole))
  const deletes = JSON.stringify([...Y.createDeleteSetFromStructStore(copy.store).clients])
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(part))
  return (
    Buffer.compare(Buffer.from(before), Buffer.from(Y.encodeStateVector(copy))) === 0 &&
    JSON.stringify([...Y.createDeleteSetFromStructStore(copy.store).clients]) === deletes
  )
}

/** Delays are a twentieth of what they are, so that retries do not make tests slow. */
export const fastClock: Clock = {
  now: () => systemClock.now(),
  after: (ms, task) => {
    const timer = setTimeout(task, ms / 20)
    return () => clearTimeout(timer)
  },
}

import { createReadStream } from 'node:fs'
import { isCheckpoint, type AppendResult, type DocumentStore, type NewEntry } from '@polyphony/storage'
import type { Subject } from './subject.ts'

interface Waiting {
  readonly documentId: string
  incarnation: string | undefined
  revision: number
  busy: boolean
  updates: Uint8Array[]
  done: (() => void)[]
}

const batchesMax = 4

/**
 * One of our stores, driven as the server's committer drives it: what waits in all documents goes into one append, a
 * document takes part in one append at a time, and at most four are under way. Every update is an entry of its own.
 */
export class GatheredStore implements Subject {
  readonly #store: DocumentStore
  readonly #bytesOnDisk: () => Promise<number>
  readonly #documents = new Map<string, Waiting>()
  readonly #waiting = new Set<Waiting>()
  #batches = 0
  #scheduled = false

  constructor(store: DocumentStore, bytesOnDisk: () => Promise<number>) {
    this.#store = store
    this.#bytesOnDisk = bytesOnDisk
  }

  append(documentId: string, update: Uint8Array, done: () => void): void {
    const document = this.#document(documentId)
    document.updates.push(update)
    document.done.push(done)
    this.#waiting.add(document)
    this.#schedule()
  }

  async save(documentId: string, file: string): Promise<void> {
    const { revision } = this.#document(documentId)
    const state = createReadStream(file, { highWaterMark: 256 << 10 })
    await this.#store.checkpoint(documentId, { revision, stateVector: new Uint8Array(10), state })
  }

  async load(documentId: string): Promise<number> {
    let bytes = 0
    for await (const item of this.#store.read(documentId)) {
      if (!isCheckpoint(item)) bytes += item.update.length
      else for await (const chunk of item.state) bytes += chunk.length
    }
    return bytes
  }

  bytesOnDisk(): Promise<number> {
    return this.#bytesOnDisk()
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #document(documentId: string): Waiting {
    const known = this.#documents.get(documentId)
    if (known !== undefined) return known
    const document: Waiting = {
      documentId,
      incarnation: undefined,
      revision: 0,
      busy: false,
      updates: [],
      done: [],
    }
    this.#documents.set(documentId, document)
    return document
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      while (this.#batches < batchesMax && this.#writeNext()) this.#batches++
    })
  }

  #writeNext(): boolean {
    const batch = [...this.#waiting].filter(({ busy }) => !busy)
    if (batch.length === 0) return false
    const waiters = batch.map((document) => {
      document.busy = true
      this.#waiting.delete(document)
      return document.done
    })
    const committedAtMs = Date.now()
    const appends = batch.map((document) => {
      const { documentId, incarnation, updates } = document
      const entries = updates.map((update): NewEntry => ({ update, meta: { author: 'ann', committedAtMs } }))
      document.updates = []
      document.done = []
      return { documentId, entries, incarnation }
    })
    void this.#store.append(appends).then((results) => {
      this.#batches--
      for (const [index, document] of batch.entries())
        this.#settle(document, results[index], waiters[index] ?? [])
      this.#schedule()
    })
    return true
  }

  #settle(document: Waiting, result: AppendResult | undefined, waiters: readonly (() => void)[]): void {
    if (result?.ok !== true) throw result?.error ?? new Error('An append gave no result')
    document.busy = false
    document.incarnation = result.incarnation
    document.revision = result.last
    for (const done of waiters) done()
    if (document.updates.length > 0) this.#waiting.add(document)
  }
}

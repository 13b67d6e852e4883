import { isPolyphonyError, toPolyphonyError, type PolyphonyError } from '@polyphony/core'
import { closedError } from '@polyphony/storage'
import type { HeadCache } from './head-cache.ts'
import { loadHead } from './head-loader.ts'
import { headKey } from './keys.ts'
import type { LevelDatabase, Operation } from './level-database.ts'
import { encodeHead, type StoredHead } from './stored-head.ts'

/** The newest heads, those included that earlier transactions of the same batch have changed. */
export interface HeadView {
  /** Throws `store-corrupt` for a damaged one. */
  get(documentId: string): StoredHead | undefined
}

/** What a transaction does. Heads are written by the writer; `operations` is the rest. */
export interface Plan<Result> {
  readonly heads: readonly StoredHead[]
  readonly operations: readonly Operation[]
  readonly result: Result
}

export interface GroupWriterOptions {
  readonly database: LevelDatabase
  readonly cache: HeadCache
  /** Whether writes wait for the disk. */
  readonly sync: boolean
  readonly storeName: string
}

interface Transaction {
  readonly documentIds: readonly string[]
  readonly bytes: number
  /** Plans; what it returns is written, after which `settle` is called. A throw has rejected this transaction alone. */
  readonly plan: (heads: HeadView) => Planned | undefined
  readonly reject: (error: unknown) => void
}

interface Planned {
  readonly heads: readonly StoredHead[]
  readonly operations: readonly Operation[]
  readonly settle: () => void
}

interface BulkWrite {
  readonly operations: readonly Operation[]
  readonly sync: boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const batchBytesMax = 4 << 20

/**
 * Everything that is written passes here, one batch at a time. While one is under way the transactions that arrive are
 * gathered; together they are the next batch, with one wait for the disk (group commit). Between two such batches at most
 * one bulk write gets its turn (a chunk of a large value, a removal), so that nothing waits long behind those.
 */
export class GroupWriter {
  readonly #options: GroupWriterOptions
  #transactions: Transaction[] = []
  readonly #bulk: BulkWrite[] = []
  #pumping: Promise<void> | undefined
  #running = false
  #closed = false

  constructor(options: GroupWriterOptions) {
    this.#options = options
  }

  /**
   * Runs `plan` on the newest heads of these documents and writes what it says, durably and all or nothing. `plan` must
   * not wait for anything; if it throws, nothing is written and the error is passed on. `bytes` is about its size.
   */
  commit<Result>(
    documentIds: readonly string[],
    bytes: number,
    plan: (heads: HeadView) => Plan<Result>,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#assertOpen()
      const planAndSettle = (view: HeadView): Planned | undefined => {
        try {
          const { heads, operations, result } = plan(view)
          return { heads, operations, settle: () => resolve(result) }
        } catch (error) {
          reject(error)
          return undefined
        }
      }
      this.#transactions.push({ documentIds, bytes, plan: planAndSettle, reject })
      this.#wake()
    })
  }

  /** Writes what no head depends on yet. Not waiting for the disk is for removals, which can be done again. */
  write(operations: readonly Operation[], { durable }: { readonly durable: boolean }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#assertOpen()
      this.#bulk.push({ operations, sync: durable && this.#options.sync, resolve, reject })
      this.#wake()
    })
  }

  /** Writes what is queued and refuses the rest. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#pumping
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError(this.#options.storeName)
  }

  #wake(): void {
    if (this.#running) return
    this.#running = true
    this.#pumping = this.#pump()
  }

  async #pump(): Promise<void> {
    // A microtask later: what is asked for in the same turn is in the same batch.
    await Promise.resolve()
    while (this.#transactions.length > 0 || this.#bulk.length > 0) {
      if (this.#transactions.length > 0) await this.#writeBatch(this.#takeBatch())
      const bulk = this.#bulk.shift()
      if (bulk !== undefined) await this.#writeBulk(bulk)
    }
    // In the same turn as the check above: whoever comes after it finds nobody running.
    this.#running = false
  }

  #takeBatch(): readonly Transaction[] {
    let bytes = 0
    const end = this.#transactions.findIndex((transaction) => (bytes += transaction.bytes) > batchBytesMax)
    const batch = this.#transactions.slice(0, end === -1 ? undefined : end + 1)
    this.#transactions = this.#transactions.slice(batch.length)
    return batch
  }

  async #writeBatch(batch: readonly Transaction[]): Promise<void> {
    const { database, cache, sync } = this.#options
    try {
      const { heads, damaged } = await this.#loadHeads(batch)
      const view: HeadView = {
        get: (documentId) => {
          const error = damaged.get(documentId)
          if (error !== undefined) throw error
          return heads.get(documentId)
        },
      }
      const changed = new Map<string, StoredHead>()
      const planned: Planned[] = []
      for (const transaction of batch) {
        const plan = transaction.plan(view)
        if (plan === undefined) continue
        planned.push(plan)
        for (const head of plan.heads) {
          heads.set(head.documentId, head)
          changed.set(head.documentId, head)
        }
      }
      const operations = planned.flatMap((plan) => plan.operations)
      for (const head of changed.values())
        operations.push({ type: 'put', key: headKey(head.documentId), value: encodeHead(head) })
      if (operations.length > 0) await database.batch(operations, sync)
      for (const head of changed.values()) cache.set(head)
      for (const { settle } of planned) settle()
    } catch (error) {
      // What of the batch is on disk will be seen when the heads are read again.
      cache.clear()
      for (const { reject } of batch) reject(toPolyphonyError(error, 'store-failed'))
    }
  }

  async #writeBulk({ operations, sync, resolve, reject }: BulkWrite): Promise<void> {
    try {
      await this.#options.database.batch(operations, sync)
      resolve()
    } catch (error) {
      this.#options.cache.clear()
      reject(toPolyphonyError(error, 'store-failed'))
    }
  }

  /** A damaged head is the problem of those who need it, not of the batch. */
  async #loadHeads(batch: readonly Transaction[]): Promise<LoadedHeads> {
    const { database, cache } = this.#options
    const heads = new Map<string, StoredHead>()
    const damaged = new Map<string, PolyphonyError>()
    const missing = new Set<string>()
    for (const documentId of batch.flatMap(({ documentIds }) => documentIds)) {
      if (heads.has(documentId) || missing.has(documentId)) continue
      const head = cache.get(documentId)
      if (head === undefined) missing.add(documentId)
      else heads.set(documentId, head)
    }
    const load = async (documentId: string) => {
      try {
        const head = await loadHead(database, documentId)
        if (head === undefined) return
        heads.set(documentId, head)
        cache.set(head)
      } catch (error) {
        if (!isPolyphonyError(error) || error.code !== 'store-corrupt') throw error
        damaged.set(documentId, error)
      }
    }
    await Promise.all([...missing].map(load))
    return { heads, damaged }
  }
}

interface LoadedHeads {
  readonly heads: Map<string, StoredHead>
  readonly damaged: ReadonlyMap<string, PolyphonyError>
}

import { assert, PolyphonyError, toPolyphonyError } from '@polyphony/core'
import { assertBatch } from './append-check.ts'
import { crc32c } from './crc32c.ts'
import { compareDocumentIds } from './document-order.ts'
import type {
  Append,
  AppendResult,
  Checkpoint,
  DocumentInfo,
  DocumentStore,
  Head,
  HeadCondition,
  ListQuery,
  LogEntry,
  ReadRange,
  StoreCapabilities,
} from './document-store.ts'

/**
 * Spreads documents over stores by rendezvous hashing of their ids. `stores` are by name: the name decides which documents
 * a store gets, so it must stay with its data, while the order does not matter. Adding or removing a store moves only the
 * documents that it gains or loses; they have to be copied before, for nothing here looks in the wrong place. Survives what
 * the weakest of the stores survives.
 */
export function sharded(stores: Readonly<Record<string, DocumentStore>>): DocumentStore {
  return new ShardedStore(
    Object.entries(stores).map(([name, store]) => ({ seed: crc32c(encoder.encode(name)), store })),
  )
}

interface Shard {
  readonly seed: number
  readonly store: DocumentStore
}

class ShardedStore implements DocumentStore {
  /** Only when all of the stores have it. */
  readonly subscribe?: NonNullable<DocumentStore['subscribe']>
  readonly #shards: readonly Shard[]

  constructor(shards: readonly Shard[]) {
    if (shards.length === 0) throw new TypeError('sharded needs at least one store')
    this.#shards = shards
    if (!shards.every(({ store }) => store.subscribe !== undefined)) return
    this.subscribe = async (documentId, after, listener, options) => {
      const unsubscribe = await this.#storeOf(documentId).subscribe?.(documentId, after, listener, options)
      assert(unsubscribe !== undefined, 'every shard has subscribe')
      return unsubscribe
    }
  }

  get capabilities(): StoreCapabilities {
    const all = this.#shards.map(({ store }) => store.capabilities)
    const everyOne = (kind: keyof StoreCapabilities['survives']) =>
      all.every(({ survives }) => survives[kind])
    return {
      name: `sharded(${all.map(({ name }) => name).join(', ')})`,
      survives: {
        processKill: everyOne('processKill'),
        powerCut: everyOne('powerCut'),
        failover: everyOne('failover'),
      },
      shared: all.every(({ shared }) => shared),
    }
  }

  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    assertBatch(batch)
    const byStore = new Map<DocumentStore, number[]>()
    for (const [index, { documentId }] of batch.entries()) {
      const store = this.#storeOf(documentId)
      const indexes = byStore.get(store) ?? []
      byStore.set(store, indexes)
      indexes.push(index)
    }
    const results: (AppendResult | undefined)[] = batch.map(() => undefined)
    const writes = [...byStore].map(async ([store, indexes]) => {
      const part = indexes.flatMap((index) => batch[index] ?? [])
      const outcome = await settle(store, part)
      for (const [at, index] of indexes.entries()) results[index] = outcome[at]
    })
    await Promise.all(writes)
    return results.map((result, index) => {
      const documentId = batch[index]?.documentId
      return (
        result ?? {
          ok: false,
          error: new PolyphonyError('store-failed', 'The store gave no result.', { documentId }),
        }
      )
    })
  }

  read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    return this.#storeOf(documentId).read(documentId, range)
  }

  checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    return this.#storeOf(documentId).checkpoint(documentId, checkpoint)
  }

  head(documentId: string): Promise<Head | undefined> {
    return this.#storeOf(documentId).head(documentId)
  }

  /** Merges the lists of all stores, which are in order each. */
  async *list(query: ListQuery = {}): AsyncIterable<DocumentInfo> {
    const lists = this.#shards.map(({ store }) => store.list(query)[Symbol.asyncIterator]())
    let left = query.limit ?? Infinity
    try {
      const heads = await Promise.all(lists.map((list) => list.next()))
      for (; left > 0; left--) {
        let first: { at: number; info: DocumentInfo } | undefined
        for (const [at, head] of heads.entries()) {
          if (head.done === true) continue
          const info = head.value
          if (first === undefined || compareDocumentIds(info.documentId, first.info.documentId) < 0)
            first = { at, info }
        }
        if (first === undefined) return
        yield first.info
        const next = await lists[first.at]?.next()
        if (next !== undefined) heads[first.at] = next
      }
    } finally {
      for (const list of lists) await list.return?.()
    }
  }

  create(documentId: string): Promise<Head> {
    return this.#storeOf(documentId).create(documentId)
  }

  delete(documentId: string, condition?: HeadCondition): Promise<void> {
    return this.#storeOf(documentId).delete(documentId, condition)
  }

  /** Closes all of them, whatever one says; the first error is passed on. */
  async close(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#shards.map(({ store }) => store.close()))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw toPolyphonyError(outcome.reason)
  }

  /** The store whose mark for this id is highest. */
  #storeOf(documentId: string): DocumentStore {
    const id = encoder.encode(documentId)
    let best: { mark: number; store: DocumentStore } | undefined
    for (const { seed, store } of this.#shards) {
      const mark = mix(crc32c(id) ^ seed)
      if (best === undefined || mark > best.mark) best = { mark, store }
    }
    assert(best !== undefined, 'there is at least one shard')
    return best.store
  }
}

/** A store that fails as a whole fails its own documents only, unless the call itself was wrong. */
async function settle(store: DocumentStore, part: readonly Append[]): Promise<readonly AppendResult[]> {
  try {
    return await store.append(part)
  } catch (error) {
    const reason = toPolyphonyError(error, 'store-failed')
    if (reason.code === 'store-closed') throw reason
    return part.map(() => ({ ok: false, error: reason }))
  }
}

/** Spreads the bits of a checksum over all of the number, so that shards do not follow each other's marks. */
function mix(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

const encoder = new TextEncoder()

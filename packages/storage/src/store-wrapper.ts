import { toPolyphonyError, type PolyphonyError } from '@polyphony/core'
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
  LogListener,
  ReadRange,
  Revision,
  StoreCapabilities,
  SubscribeOptions,
  Unsubscribe,
} from './document-store.ts'

/** Hands everything on to another store: what wrappers begin from, and override where they differ. */
export class StoreWrapper implements DocumentStore {
  /** Only where the store inside has it. */
  readonly subscribe?: NonNullable<DocumentStore['subscribe']>
  protected readonly inner: DocumentStore
  readonly #name: string

  /** @param name of the wrapper; capabilities call the whole `name(inner)`. */
  constructor(inner: DocumentStore, name: string) {
    this.inner = inner
    this.#name = name
    const subscribe = inner.subscribe?.bind(inner)
    if (subscribe === undefined) return
    this.subscribe = (documentId, after, listener, options = {}) =>
      this.follow(subscribe, { documentId, after, listener, options })
  }

  get capabilities(): StoreCapabilities {
    return { ...this.inner.capabilities, name: `${this.#name}(${this.inner.capabilities.name})` }
  }

  append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    return this.inner.append(batch)
  }

  read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    return this.inner.read(documentId, range)
  }

  checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    return this.inner.checkpoint(documentId, checkpoint)
  }

  head(documentId: string): Promise<Head | undefined> {
    return this.inner.head(documentId)
  }

  list(query?: ListQuery): AsyncIterable<DocumentInfo> {
    return this.inner.list(query)
  }

  create(documentId: string): Promise<Head> {
    return this.inner.create(documentId)
  }

  delete(documentId: string, condition?: HeadCondition): Promise<void> {
    return this.inner.delete(documentId, condition)
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  /** What `subscribe` does. */
  protected follow(subscribe: Subscribe, call: SubscribeCall): Promise<Unsubscribe> {
    return subscribe(call.documentId, call.after, call.listener, call.options)
  }
}

export type Subscribe = NonNullable<DocumentStore['subscribe']>

export interface SubscribeCall {
  readonly documentId: string
  readonly after: Revision
  readonly listener: LogListener
  readonly options: SubscribeOptions
}

/**
 * A subscription whose entries take time to decode: they are still heard in order, and the end after them. Entries that
 * cannot be decoded end it.
 */
export async function followDecoded(
  subscribe: Subscribe,
  { documentId, after, listener, options }: SubscribeCall,
  decode: (entries: readonly LogEntry[], incarnation: string) => Promise<readonly LogEntry[]>,
): Promise<Unsubscribe> {
  let stopped = false
  let queue = Promise.resolve()
  const end = (reason: PolyphonyError): void => {
    if (stopped) return
    stopped = true
    options.ended?.(reason)
  }
  const enqueue = (task: () => Promise<void> | void): void => {
    queue = queue.then(async () => {
      if (stopped) return
      try {
        await task()
      } catch (error) {
        end(toPolyphonyError(error, 'store-corrupt', { documentId }))
      }
    })
  }
  const hear: LogListener = (entries, incarnation) =>
    enqueue(async () => {
      const decoded = await decode(entries, incarnation)
      if (!stopped && decoded.length > 0) listener(decoded, incarnation)
    })
  const unsubscribe = await subscribe(documentId, after, hear, {
    ...options,
    ended: (reason) => enqueue(() => end(reason)),
  })
  return async () => {
    stopped = true
    await unsubscribe()
    await queue
  }
}

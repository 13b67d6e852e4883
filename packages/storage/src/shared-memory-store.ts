import { parseDocumentId, PolyphonyError, toPolyphonyError } from '@polyphony/core'
import { documentDeleted } from './append-check.ts'
import { closedError } from './closed-error.ts'
import { isCheckpoint } from './document-store.ts'
import type {
  LogEntry,
  LogListener,
  Revision,
  StoreCapabilities,
  SubscribeOptions,
  Unsubscribe,
} from './document-store.ts'
import { incarnationMismatch } from './head-condition.ts'
import { MemoryStore } from './memory-store.ts'

/**
 * A store in memory that several nodes of one process share through one `disk`: the reference for `subscribe`, and the
 * ground that a simulated cluster stands on. Like the real ones it is told only *that* something changed, and reads what.
 */
export class SharedMemoryStore extends MemoryStore {
  readonly #subscriptions = new Set<Subscription>()

  override get capabilities(): StoreCapabilities {
    return { ...super.capabilities, name: 'shared-memory', shared: true }
  }

  async subscribe(
    documentId: string,
    after: Revision,
    listener: LogListener,
    options: SubscribeOptions = {},
  ): Promise<Unsubscribe> {
    this.assertOpen()
    const subscription = new Subscription(this, parseDocumentId(documentId), after, listener, options)
    await subscription.start()
    this.#subscriptions.add(subscription)
    return async () => {
      this.#subscriptions.delete(subscription)
      await subscription.stop()
    }
  }

  override async close(): Promise<void> {
    await super.close()
    for (const subscription of this.#subscriptions) subscription.end(closedError(this.capabilities.name))
    this.#subscriptions.clear()
  }
}

/** Reads on from where it stands whenever the disk says that something changed. */
class Subscription {
  readonly #store: SharedMemoryStore
  readonly #documentId: string
  readonly #listener: LogListener
  readonly #options: SubscribeOptions
  #incarnation: string | undefined
  #after: Revision
  #unwatch: (() => void) | undefined
  #stopped = false
  #changed = false
  #running = false
  #pumping: Promise<void> | undefined

  constructor(
    store: SharedMemoryStore,
    documentId: string,
    after: Revision,
    listener: LogListener,
    options: SubscribeOptions,
  ) {
    this.#store = store
    this.#documentId = documentId
    this.#after = after
    this.#listener = listener
    this.#options = options
    this.#incarnation = options.incarnation
  }

  /** Rejects when `after` cannot be continued; delivers the first entries later. */
  async start(): Promise<void> {
    this.#unwatch = this.#store.disk.watch(this.#documentId, () => this.#wake())
    try {
      await this.#assertContinuous()
      for await (const item of this.#store.read(this.#documentId, { after: this.#after })) {
        if (isCheckpoint(item)) throw expired(this.#documentId, this.#after)
        break
      }
    } catch (error) {
      this.#unwatch()
      throw error
    }
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#unwatch?.()
    await this.#pumping
  }

  end(reason: PolyphonyError): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#unwatch?.()
    this.#options.ended?.(reason)
  }

  #wake(): void {
    this.#changed = true
    if (this.#running) return
    this.#running = true
    this.#pumping = this.#pump()
  }

  async #pump(): Promise<void> {
    while (this.#changed && !this.#stopped) {
      this.#changed = false
      try {
        // Not in the caller's turn: `append` has returned before its entries arrive here.
        await Promise.resolve()
        await this.#assertContinuous()
        const entries = await this.#readOn()
        if (entries.length > 0 && !this.#stopped) {
          this.#after = entries.at(-1)?.revision ?? this.#after
          this.#listener(entries, this.#incarnation ?? '')
        }
      } catch (error) {
        this.end(toPolyphonyError(error, 'store-failed', { documentId: this.#documentId }))
      }
    }
    // In the same turn as the check above: whoever wakes it after that finds nobody running.
    this.#running = false
  }

  async #readOn(): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = []
    for await (const item of this.#store.read(this.#documentId, { after: this.#after })) {
      if (isCheckpoint(item)) throw expired(this.#documentId, this.#after)
      entries.push(item)
    }
    return entries
  }

  async #assertContinuous(): Promise<void> {
    const head = await this.#store.head(this.#documentId)
    if (head?.tombstone !== undefined) throw documentDeleted(this.#documentId)
    const wanted = this.#incarnation
    if (wanted !== undefined && wanted !== head?.incarnation)
      throw incarnationMismatch(this.#documentId, wanted, head?.incarnation)
    this.#incarnation = head?.incarnation
  }
}

function expired(documentId: string, after: Revision): PolyphonyError {
  return new PolyphonyError(
    'revision-expired',
    `Entries of "${documentId}" above ${after} are no longer retained: read the document, then subscribe.`,
    { documentId },
  )
}

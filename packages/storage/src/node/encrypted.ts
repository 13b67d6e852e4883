import { isPolyphonyError } from '@polyphony/core'
import { incarnationMismatch } from '../head-condition.ts'
import { assertCheckpoint, refuseCheckpointAt } from '../checkpoint-check.ts'
import { isCheckpoint } from '../document-store.ts'
import type {
  Append,
  AppendResult,
  Checkpoint,
  DocumentStore,
  Head,
  LogEntry,
  ReadRange,
  Unsubscribe,
} from '../document-store.ts'
import { overtakenRead } from '../overtaken-read.ts'
import { followDecoded, StoreWrapper, type Subscribe, type SubscribeCall } from '../store-wrapper.ts'
import { DataKeys } from './data-keys.ts'
import { sealCheckpoint } from './sealed-checkpoint.ts'
import type { KeyProvider } from './key-ring.ts'
import { SealedAppender } from './sealed-appender.ts'
import { groupEntriesMax } from './sealed-entries.ts'
import { SealedLog } from './sealed-log.ts'

/**
 * Encrypts updates, authors and checkpoints with AES-256-GCM before the store inside sees them.
 *
 * Each process makes a random data key, which the provider wraps; every value carries key id and wrapped key, so that it
 * can be read whatever the primary key is by then. Authenticated with each value are the document, the incarnation it was
 * written in, its exact revision, and for a chunk of a checkpoint its number and whether it is the last. So whoever can
 * write to the storage cannot change a value, move it within or between documents, repeat it, leave one out of the middle,
 * or put one from before a deletion among later ones: reading it fails with `store-corrupt`. What is not encrypted, or under
 * a key that is not at hand, fails with `store-misconfigured`.
 *
 * In the clear: document ids, the number, size and time of entries, revisions, incarnations, tombstones. Not prevented: that
 * the newest entries are cut off, that a document is deleted, or put back as a whole to what it was; nothing that is stored
 * beside the data could prevent it.
 *
 * To know the revision beforehand, an append names the head it expects; when another node was faster, it is encrypted
 * again for the next place. A document that an append brings into being is created first. Small entries of one append are
 * sealed together, in place of the last of them, so their bytes count as that one's. An entry by itself costs about 90 bytes
 * and 7 to 10 µs of CPU, 64 small ones together less than 1 µs each.
 */
export function encrypted(store: DocumentStore, keys: KeyProvider): DocumentStore {
  return new EncryptedStore(store, keys)
}

class EncryptedStore extends StoreWrapper {
  readonly #keys: DataKeys
  readonly #appender: SealedAppender

  constructor(inner: DocumentStore, provider: KeyProvider) {
    super(inner, 'encrypted')
    this.#keys = new DataKeys(provider)
    this.#appender = new SealedAppender(inner, this.#keys)
  }

  override append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    return this.#appender.append(batch)
  }

  override async *read(documentId: string, range: ReadRange = {}): AsyncIterable<Checkpoint | LogEntry> {
    const head = await this.inner.head(documentId)
    const log = new SealedLog(this.#keys, documentId, { after: range.after, newest: head?.incarnation })
    try {
      for await (const item of this.inner.read(documentId, range)) {
        if (isCheckpoint(item)) yield await log.openCheckpoint(item)
        else yield* await log.open(item)
      }
      yield* this.#readWaiting(documentId, log)
    } catch (error) {
      if (isPolyphonyError(error) && error.code === 'store-corrupt')
        await this.#assertSameLife(documentId, head)
      throw error
    }
  }

  override async checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    assertCheckpoint(checkpoint)
    const head = await this.inner.head(documentId)
    const refusal = refuseCheckpointAt(documentId, checkpoint, head)
    if (refusal !== undefined) throw refusal
    const key = this.#keys.current ?? (await this.#keys.make())
    await this.inner.checkpoint(
      documentId,
      sealCheckpoint(key, documentId, head?.incarnation ?? '', checkpoint),
    )
  }

  protected override follow(subscribe: Subscribe, call: SubscribeCall): Promise<Unsubscribe> {
    let log: SealedLog | undefined
    return followDecoded(subscribe, call, async (entries, incarnation) => {
      log ??= new SealedLog(this.#keys, call.documentId, { after: call.after, newest: incarnation })
      const opened: LogEntry[] = []
      for (const sealed of entries) opened.push(...(await log.open(sealed)))
      return opened
    })
  }

  /** A range may end within a group: what of it was asked for is in an entry behind its end. */
  async *#readWaiting(documentId: string, log: SealedLog): AsyncIterable<LogEntry> {
    const upTo = log.waitingAt
    if (upTo === undefined) return
    const range = { after: upTo, upTo: upTo + groupEntriesMax }
    for await (const item of this.inner.read(documentId, range)) {
      if (isCheckpoint(item)) throw overtakenRead(documentId)
      const opened = await log.open(item)
      yield* opened.filter(({ revision }) => revision <= upTo)
      if (log.waitingAt === undefined) return
    }
    log.end()
  }

  /** What looks like damage may be a document that was created again while it was read. */
  async #assertSameLife(documentId: string, before: Head | undefined): Promise<void> {
    const after = await this.inner.head(documentId)
    if (before !== undefined && before.incarnation !== after?.incarnation)
      throw incarnationMismatch(documentId, before.incarnation, after?.incarnation)
  }
}

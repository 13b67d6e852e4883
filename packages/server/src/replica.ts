import { assert, IdSet, type Clock, type SlicedWork } from '@polyphony/core'
import { JsonView, RevisionLog, type JsonViewOptions } from '@polyphony/translator'
import * as Y from 'yjs'
import type { CommittedEntry } from './document-log.ts'
import type { Increment } from './frontier.ts'
import type { LogPiece } from './log-piece.ts'
import { updateCostUs } from './update-cost.ts'

/** The origin of transactions that bring committed entries into a replica. */
export const committedOrigin = Symbol('committed')

/** The versions that patches can be anchored to and feeds resumed from, unless a projection says otherwise. */
const retained = { versions: 10_000, ms: 3_600_000, bytes: 32 << 20 }

export interface ReplicaOptions {
  /** The checkpoint that the replica starts from, in pieces; none for no checkpoint. */
  readonly base: readonly LogPiece[]
  readonly baseRevision: number
  /** The log above the checkpoint. */
  readonly tail: readonly CommittedEntry[]
  readonly clientId: number
  readonly clock: Clock
  readonly projection: JsonViewOptions
  /** Called with deletions that follow from merging and stand in no update (a lost concurrent write of a key). */
  readonly onImpliedDeletes: (deletes: IdSet) => void
}

export interface ReplicaEdit<T> {
  readonly result: T
  /** What to commit; `undefined` when nothing changed. */
  readonly change: { readonly update: Uint8Array; readonly increment: Increment } | undefined
}

/**
 * The materialised document: a `Y.Doc` and its JSON view. It costs 5 to 13 times the encoded bytes, so it lives only while
 * a projection or a patch needs it. It shows exactly the committed state, except between `edit` and `record`.
 */
export class Replica {
  readonly view: JsonView
  readonly #doc: Y.Doc
  readonly #log: RevisionLog
  readonly #clientId: number
  readonly #onImpliedDeletes: (deletes: IdSet) => void
  #isComplete = false;

  /** Makes a replica, step by step. Cost: 2 to 3 µs for each struct. */
  static *make(options: ReplicaOptions): SlicedWork<Replica> {
    const doc = new Y.Doc({ gc: false })
    for (const { update } of options.base) {
      Y.applyUpdate(doc, update)
      yield updateCostUs(update.length)
    }
    const replica = new Replica(doc, options)
    // One by one: a version from before a restart may name any of them, and what a merge implies must stand at its own.
    for (const entry of options.tail) {
      replica.apply([entry])
      yield updateCostUs(entry.update.length)
    }
    // Only now: a document that receives structs of its own client id believes that somebody else uses it.
    doc.clientID = options.clientId
    replica.#isComplete = true
    return replica
  }

  private constructor(doc: Y.Doc, options: ReplicaOptions) {
    this.#doc = doc
    this.#onImpliedDeletes = options.onImpliedDeletes
    this.#clientId = options.clientId
    this.#log = new RevisionLog({
      revision: options.baseRevision,
      stateVector: Y.decodeStateVector(Y.encodeStateVector(this.#doc)),
    })
    this.view = new JsonView(this.#doc, {
      clock: options.clock,
      retain: retained,
      ...options.projection,
      log: this.#log,
    })
  }

  get revision(): number {
    return this.#log.revision
  }

  /** Applies committed entries in one transaction and makes them versions that can be diffed from. */
  apply(entries: readonly CommittedEntry[]): void {
    if (entries.length === 0) return
    const deleted = this.#deletedBy(() => {
      this.#doc.transact(() => {
        for (const { update } of entries) Y.applyUpdate(this.#doc, update)
      }, committedOrigin)
    })
    assert(
      !this.#isComplete || this.#doc.clientID === this.#clientId,
      'only a replica writes under its client id',
    )
    const implied = new IdSet()
    const explicit = new IdSet()
    for (const { increment } of entries) explicit.addAll(increment.deletes)
    for (const { client, clock, length } of deleted.entries()) {
      for (const gap of explicit.missing(client, clock, length)) implied.add(client, gap.clock, gap.length)
    }
    entries.forEach((entry, index) => {
      const { revision, increment, committedAtMs } = entry
      if (index < entries.length - 1 || implied.isEmpty) {
        this.record(entry)
        return
      }
      // Readers see batches, not entries: what the merge implied belongs to the batch's last revision.
      const deletes = new IdSet()
      deletes.addAll(increment.deletes)
      deletes.addAll(implied)
      this.#log.record(revision, increment.clocks, deletes, committedAtMs)
    })
    if (!implied.isEmpty) this.#onImpliedDeletes(implied)
  }

  /** Runs `plan` and captures the bytes of what it did. When it throws, `tainted` tells whether something had changed. */
  edit<T>(
    plan: (view: JsonView) => T,
  ): ReplicaEdit<T> | { readonly error: unknown; readonly tainted: boolean } {
    const updates: Uint8Array[] = []
    const capture = (update: Uint8Array): void => void updates.push(update)
    this.#doc.on('update', capture)
    let outcome: { readonly result: T } | { readonly error: unknown } | undefined
    const deletes = this.#deletedBy(() => {
      try {
        outcome = { result: plan(this.view) }
      } catch (error) {
        outcome = { error }
      }
    })
    this.#doc.off('update', capture)
    if (outcome === undefined || 'error' in outcome)
      return { error: outcome?.error, tainted: updates.length > 0 }
    if (updates.length === 0) return { result: outcome.result, change: undefined }
    const update = updates.length === 1 ? (updates[0] as Uint8Array) : Y.mergeUpdates(updates)
    const clocks = new Map([[this.#doc.clientID, Y.getState(this.#doc.store, this.#doc.clientID)]])
    return { result: outcome.result, change: { update, increment: { clocks, deletes } } }
  }

  /** Makes an entry that the document has taken in, or this replica itself made, a version. */
  record({ revision, increment, committedAtMs }: CommittedEntry): void {
    this.#log.record(revision, increment.clocks, increment.deletes, committedAtMs)
  }

  destroy(): void {
    this.view.destroy()
    this.#doc.destroy()
  }

  #deletedBy(task: () => void): IdSet {
    const deletes = new IdSet()
    const collect = (transaction: Y.Transaction): void => {
      for (const [client, items] of transaction.deleteSet.clients)
        for (const { clock, len } of items) deletes.add(client, clock, len)
    }
    this.#doc.on('afterTransaction', collect)
    try {
      task()
    } finally {
      this.#doc.off('afterTransaction', collect)
    }
    return deletes
  }
}

import { IdSet } from '@polyphony/core'
import * as Y from 'yjs'
import { concatBytes } from './bytes.ts'
import type { Increment } from './frontier.ts'
import { isContentless, type ParsedUpdate } from './update-reader.ts'
import { isEmptyUpdate, mergeUpdates, writeUpdate } from './update-writer.ts'

/** A committed entry as a room keeps it. */
export interface CommittedEntry {
  readonly revision: number
  readonly update: Uint8Array
  readonly increment: Increment
  readonly committedAtMs: number
}

/** A document's bytes in memory: the newest checkpoint and the log above it. Serves joiners without a `Y.Doc`. */
export class DocumentLog {
  #base: Uint8Array = new Uint8Array()
  #baseRevision = 0
  /** What the log reaches: end clock of each client, and everything deleted. Committed only, unlike a room's frontier. */
  readonly #clocks = new Map<number, number>()
  readonly #deletes = new IdSet()
  #tail: CommittedEntry[] = []
  #tailBytes = 0
  /** The first `#mergedCount` entries of the tail as one update: shared by joiners, extended when needed. */
  #merged: Uint8Array | undefined
  #mergedCount = 0

  get revision(): number {
    return this.#tail.at(-1)?.revision ?? this.#baseRevision
  }

  /** The newest checkpoint as one update; empty when there is none. */
  get base(): Uint8Array {
    return this.#base
  }

  get baseRevision(): number {
    return this.#baseRevision
  }

  get tail(): readonly CommittedEntry[] {
    return this.#tail
  }

  get tailBytes(): number {
    return this.#tailBytes
  }

  get bytes(): number {
    return this.#base.length + this.#tailBytes
  }

  /** Starts from a checkpoint that reaches as far as `increment` says. */
  start(revision: number, state: Uint8Array, increment: Increment): void {
    this.#reach(increment)
    this.rebase(revision, [state])
  }

  append(entry: CommittedEntry): void {
    this.#tail.push(entry)
    this.#tailBytes += entry.update.length
    this.#reach(entry.increment)
  }

  /** What an update adds to what the log reaches, once it is appended: everything that it builds on must be there. */
  incrementOf(update: ParsedUpdate): Increment {
    const clocks = new Map<number, number>()
    const deletes = new IdSet()
    const addMissing = (client: number, clock: number, length: number): void => {
      for (const gap of this.#deletes.missing(client, clock, length))
        deletes.add(client, gap.clock, gap.length)
    }
    for (const [client, structs] of update.structs) {
      const reached = this.#clocks.get(client) ?? 0
      for (const struct of structs) {
        const end = struct.id.clock + struct.length
        if (struct instanceof Y.Skip || end <= reached) continue
        clocks.set(client, end)
        if (isContentless(struct)) addMissing(client, struct.id.clock, struct.length)
      }
    }
    for (const { client, clock, length } of update.deletes.entries()) addMissing(client, clock, length)
    return { clocks, deletes }
  }

  /** Deletions that follow from the log without standing in it. */
  addImpliedDeletes(deletes: IdSet): void {
    this.#deletes.addAll(deletes)
  }

  /** Replaces everything up to `revision` by a checkpoint of it. */
  rebase(revision: number, state: readonly Uint8Array[]): void {
    this.#base = concatBytes(state)
    this.#baseRevision = revision
    this.#tail = this.#tail.filter((entry) => entry.revision > revision)
    this.#tailBytes = this.#tail.reduce((bytes, { update }) => bytes + update.length, 0)
    this.#merged = undefined
    this.#mergedCount = 0
  }

  /** Checkpoint and entries as they are: for whoever applies them elsewhere, so that nothing is merged here. */
  updates(): readonly Uint8Array[] {
    return [this.#base, ...this.#tail.map(({ update }) => update)].filter((update) => !isEmptyUpdate(update))
  }

  /** The whole document as at most two updates, to be applied in order. */
  encode(): readonly Uint8Array[] {
    return [this.#base, this.#mergedTail()].filter((update) => !isEmptyUpdate(update))
  }

  /**
   * What a replica with this state vector lacks, as at most two updates; all deletes always go along, for a state vector
   * says nothing about them. An up-to-date replica costs O(deletes), one that has the checkpoint O(tail).
   */
  encodeDiff(
    stateVector: ReadonlyMap<number, number>,
    encodedStateVector: Uint8Array,
  ): readonly Uint8Array[] {
    if (stateVector.size === 0) return this.encode()
    if (this.#isCoveredBy(stateVector))
      return [writeUpdate(new Map(), this.#deletes)].filter((update) => !isEmptyUpdate(update))
    return this.encode()
      .map((update) => Y.diffUpdate(update, encodedStateVector))
      .filter((update) => !isEmptyUpdate(update))
  }

  #isCoveredBy(stateVector: ReadonlyMap<number, number>): boolean {
    for (const [client, clock] of this.#clocks) if ((stateVector.get(client) ?? 0) < clock) return false
    return true
  }

  #reach({ clocks, deletes }: Increment): void {
    for (const [client, clock] of clocks) this.#clocks.set(client, clock)
    this.#deletes.addAll(deletes)
  }

  #mergedTail(): Uint8Array {
    if (this.#mergedCount < this.#tail.length || this.#merged === undefined) {
      const more = this.#tail.slice(this.#mergedCount).map(({ update }) => update)
      this.#merged = mergeUpdates(this.#merged === undefined ? more : [this.#merged, ...more])
      this.#mergedCount = this.#tail.length
    }
    return this.#merged
  }
}

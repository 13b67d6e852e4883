import { IdSet } from '@polyphony/core'
import * as Y from 'yjs'
import { BaseState } from './base-state.ts'
import type { Increment } from './frontier.ts'
import { isCovered, type Clocks, type LogPiece } from './log-piece.ts'
import { TailMerger } from './tail-merger.ts'
import { isContentless, type ParsedUpdate } from './update-reader.ts'
import { isEmptyUpdate, writeUpdate } from './update-writer.ts'

/** A committed entry as a room keeps it. */
export interface CommittedEntry {
  readonly revision: number
  readonly update: Uint8Array
  readonly increment: Increment
  readonly committedAtMs: number
}

/**
 * A document's bytes: the newest checkpoint, which may be out of memory, and the log above it. Serves joiners without a
 * `Y.Doc`, in pieces of a bounded size that all of them share.
 */
export class DocumentLog {
  #base = new BaseState(0, [])
  /** What the log reaches: end clock of each client, and everything deleted. Committed only, unlike a room's frontier. */
  readonly #clocks = new Map<number, number>()
  readonly #deletes = new IdSet()
  #tail: CommittedEntry[] = []
  #tailBytes = 0
  #merger = new TailMerger()

  get revision(): number {
    return this.#tail.at(-1)?.revision ?? this.#base.revision
  }

  /** The newest checkpoint; empty and at revision 0 when there is none. */
  get base(): BaseState {
    return this.#base
  }

  get tail(): readonly CommittedEntry[] {
    return this.#tail
  }

  get tailBytes(): number {
    return this.#tailBytes
  }

  get bytes(): number {
    return this.#base.bytes + this.#tailBytes
  }

  /** The log above the checkpoint, merged into pieces as they are asked for. O(what was appended since the last time). */
  tailPieces(): Generator<LogPiece> {
    return this.#merger.pieces()
  }

  /** Starts from a checkpoint; `reach` was called for each of its pieces. */
  start(base: BaseState): void {
    this.#base = base
  }

  /** Notes how far a piece of the checkpoint reaches. */
  reach({ clocks, deletes }: Increment): void {
    for (const [client, clock] of clocks) this.#clocks.set(client, clock)
    this.#deletes.addAll(deletes)
  }

  append(entry: CommittedEntry): void {
    this.#tail.push(entry)
    this.#tailBytes += entry.update.length
    this.#merger.add(entry)
    this.reach(entry.increment)
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

  /** Replaces everything up to the revision of `base`, which is a checkpoint of it. */
  rebase(base: BaseState): void {
    this.#base = base
    this.#tail = this.#tail.filter(({ revision }) => revision > base.revision)
    this.#tailBytes = this.#tail.reduce((bytes, { update }) => bytes + update.length, 0)
    this.#merger = new TailMerger()
    for (const entry of this.#tail) this.#merger.add(entry)
  }

  /**
   * What a replica with these clocks lacks, as updates to be applied in order; all deletes always go along, for a state
   * vector says nothing about them. An up-to-date replica costs O(deletes), one that has the checkpoint O(tail).
   * `undefined` when the checkpoint is needed and not in memory.
   */
  encodeDiff(has: Clocks): readonly Uint8Array[] | undefined {
    if (this.isCoveredBy(has)) return [this.encodeDeletes()].filter((update) => !isEmptyUpdate(update))
    const { pieces } = this.#base
    if (pieces === undefined) return undefined
    const updates = [...pieces, ...this.tailPieces()].flatMap((piece) => piece.missing(has) ?? [])
    return has.size === 0 ? updates : [...updates, this.encodeDeletes()]
  }

  isCoveredBy(has: Clocks): boolean {
    return has.size > 0 && isCovered(this.#clocks, has)
  }

  /** Everything that is deleted, as an update without structs. */
  encodeDeletes(): Uint8Array {
    return writeUpdate(new Map(), this.#deletes)
  }
}

import { PolyphonyError } from '@polyphony/core'
import type { FrameList, FrameMemory } from './frame-list.ts'

/** The encoded snapshots of all feeds of a node, within one budget. */
export class SnapshotMemory implements FrameMemory {
  readonly #bytesMax: number
  /** Those that are kept for further readers, in the order of their last use, and how each is let go of. */
  readonly #kept = new Map<FrameList, () => void>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  count(bytes: number): void {
    this.#bytes += bytes
  }

  /** The list stays for further readers until it is forgotten, or `drop` is called to make room. */
  keep(frames: FrameList, drop: () => void): void {
    this.#kept.delete(frames)
    this.#kept.set(frames, drop)
  }

  forget(frames: FrameList): void {
    this.#kept.delete(frames)
  }

  /** Throws `overloaded` when readers hold more than the budget, so that not even the next snapshot should be begun. */
  makeRoom(documentId: string): void {
    for (const [frames, drop] of this.#kept) {
      if (this.#bytes < this.#bytesMax) return
      this.#kept.delete(frames)
      drop()
    }
    if (this.#bytes < this.#bytesMax) return
    throw new PolyphonyError(
      'overloaded',
      `Too many large states are being sent to begin with "${documentId}" now; come back in a moment.`,
      { documentId, limit: 'snapshotMemoryBytesMax' },
    )
  }
}

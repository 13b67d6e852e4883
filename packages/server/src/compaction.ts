import * as Y from 'yjs'
import { statePieces, type StatePiece } from './state-pieces.ts'

export interface CompactedState {
  /** Of a bounded size each, to be applied in order. */
  readonly pieces: readonly StatePiece[]
  readonly stateVector: Uint8Array
}

/** Makes checkpoints. Asynchronous, so that the work can be done elsewhere. */
export interface Compactor {
  /** The document after all the updates, with the content of deleted items collected. */
  compact(updates: readonly Uint8Array[]): Promise<CompactedState>
  close(): Promise<void>
}

/** Compacts right here. Cost: 2 to 3 µs for each struct, during which nothing else runs. */
export function compact(updates: readonly Uint8Array[]): CompactedState {
  const compaction = new Compaction()
  compaction.add(updates)
  return { stateVector: compaction.stateVector(), pieces: [...compaction.finish()] }
}

/** One document being compacted. */
export class Compaction {
  readonly #doc = new Y.Doc({ gc: true })

  add(updates: readonly Uint8Array[]): void {
    this.#doc.transact(() => {
      for (const update of updates) Y.applyUpdate(this.#doc, update)
    })
  }

  stateVector(): Uint8Array {
    return Y.encodeStateVector(this.#doc)
  }

  *finish(): Generator<StatePiece> {
    yield* statePieces(this.#doc)
    this.#doc.destroy()
  }
}

import type { Revision } from './document-store.ts'

/**
 * A place in a log that somebody has seen, precise enough to find out whether the log still is the one that they saw.
 * After a failover a log may have lost its tail and gone on with other entries under the same numbers; the mark of the
 * append that wrote the entry tells the two apart.
 */
export interface LogPosition {
  readonly incarnation: string
  readonly revision: Revision
  /** Random, the same for all entries of one append; `undefined` where it is not known. */
  readonly mark?: string | undefined
}

const positionsMax = 50_000

/** The furthest place that this process has seen of each document; it forgets the documents used longest ago. */
export class LogPositions {
  readonly #positions = new Map<string, LogPosition>()

  find(documentId: string): LogPosition | undefined {
    return this.#positions.get(documentId)
  }

  /** Notes a place, unless one further on in the same incarnation is known. */
  note(documentId: string, position: LogPosition): void {
    const known = this.#positions.get(documentId)
    const isOlder = known?.incarnation === position.incarnation && known.revision > position.revision
    this.#positions.delete(documentId)
    this.#positions.set(documentId, isOlder ? known : position)
    if (this.#positions.size <= positionsMax) return
    for (const oldest of this.#positions.keys()) {
      this.#positions.delete(oldest)
      return
    }
  }

  forget(documentId: string): void {
    this.#positions.delete(documentId)
  }
}

import { PolyphonyError, type Limits } from '@polyphony/core'

/**
 * Counts what stays connected to this node: WebSocket sessions and feeds together. One instance is shared by all faces.
 */
export class ConnectionCounter {
  readonly #limits: Pick<Limits, 'connectionsMax' | 'documentConnectionsMax'>
  readonly #perDocument = new Map<string, number>()
  #total = 0

  constructor(limits: Pick<Limits, 'connectionsMax' | 'documentConnectionsMax'>) {
    this.#limits = limits
  }

  get total(): number {
    return this.#total
  }

  /** Counts one connection to a document until the returned function is called. Throws `too-many-connections`. */
  acquire(documentId: string): () => void {
    const here = this.#perDocument.get(documentId) ?? 0
    if (this.#total >= this.#limits.connectionsMax) throw tooMany('connectionsMax', documentId)
    if (here >= this.#limits.documentConnectionsMax) throw tooMany('documentConnectionsMax', documentId)
    this.#total += 1
    this.#perDocument.set(documentId, here + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#total -= 1
      const left = (this.#perDocument.get(documentId) ?? 1) - 1
      if (left === 0) this.#perDocument.delete(documentId)
      else this.#perDocument.set(documentId, left)
    }
  }
}

function tooMany(limit: 'connectionsMax' | 'documentConnectionsMax', documentId: string): PolyphonyError {
  return new PolyphonyError('too-many-connections', `The limit ${limit} is reached. Try again later.`, {
    documentId,
    limit,
  })
}

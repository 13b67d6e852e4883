import type { StoredHead } from './stored-head.ts'

/** The heads used last, in bounded number. Only the writer puts heads in, so a cached one is always the newest. */
export class HeadCache {
  readonly #heads = new Map<string, StoredHead>()
  readonly #sizeMax: number

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  get(documentId: string): StoredHead | undefined {
    const head = this.#heads.get(documentId)
    if (head === undefined) return undefined
    // A `Map` keeps the order of insertion: what is used moves to the end, away from eviction.
    this.#heads.delete(documentId)
    this.#heads.set(documentId, head)
    return head
  }

  set(head: StoredHead): void {
    this.#heads.delete(head.documentId)
    this.#heads.set(head.documentId, head)
    if (this.#heads.size <= this.#sizeMax) return
    for (const oldest of this.#heads.keys()) {
      this.#heads.delete(oldest)
      return
    }
  }

  clear(): void {
    this.#heads.clear()
  }
}

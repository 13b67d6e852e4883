import { corrupt } from '../record.ts'

/**
 * A document's incarnation may change while its entries stay (a store that lost its tail begins a new one), but it never
 * returns to an earlier one. Entries that would be a return were put there from an earlier life of the document.
 */
export class LifeOrder {
  readonly #documentId: string
  readonly #newest: string | undefined
  readonly #seen = new Set<string>()
  #current: string | undefined

  /** @param newest the incarnation of the head: nothing comes after it. */
  constructor(documentId: string, newest: string | undefined) {
    this.#documentId = documentId
    this.#newest = newest
  }

  /** Values in the order of the log. Throws `store-corrupt`. */
  see(incarnation: string, what: string): void {
    if (incarnation === this.#current) return
    const isReturn =
      this.#seen.has(incarnation) || (this.#current !== undefined && this.#current === this.#newest)
    if (isReturn)
      throw corrupt({ documentId: this.#documentId, what }, 'it is of an earlier life of the document')
    this.#current = incarnation
    this.#seen.add(incarnation)
  }
}

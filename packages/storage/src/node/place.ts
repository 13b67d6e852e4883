import type { Revision } from '../document-store.ts'

/** Says where values of one document, incarnation and kind belong: what is authenticated with them, but not stored. */
export class Place {
  readonly kind: number
  readonly documentId: string
  readonly incarnation: string
  /** Ids have no control characters, so the zero bytes keep the members apart. */
  readonly #bytes: Buffer
  readonly #revisionAt: number

  constructor(kind: number, documentId: string, incarnation: string) {
    this.kind = kind
    this.documentId = documentId
    this.incarnation = incarnation
    const name = Buffer.from(`${kind}\0${documentId}\0${incarnation}\0`)
    this.#revisionAt = name.length
    this.#bytes = Buffer.concat([name, Buffer.alloc(8)])
  }

  /** Valid until the next call. */
  at(revision: Revision): Uint8Array {
    this.#bytes.writeDoubleLE(revision, this.#revisionAt)
    return this.#bytes
  }

  /** The same with a name for a part of what is there. */
  partAt(revision: Revision, part: string): Uint8Array {
    return Buffer.concat([this.at(revision), Buffer.from(part)])
  }
}

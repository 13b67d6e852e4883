import { PolyphonyError } from '@polyphony/core'
import { compareDocumentIds } from './document-order.ts'
import type { LogEntry, NewEntry, Revision } from './document-store.ts'
import type { RetentionPolicy } from './retention.ts'

export interface MemoryEntry extends LogEntry {
  /** Bytes of all updates before this one. */
  readonly offset: number
}

export interface MemoryCheckpoint {
  readonly revision: Revision
  readonly incarnation: string
  readonly stateVector: Uint8Array
  readonly state: readonly Uint8Array[]
}

export interface MemoryDocument {
  readonly incarnation: string
  revision: Revision
  /** Bytes of all updates since revision 1. */
  endOffset: number
  /** What is retained, oldest first, ending at `revision`. */
  entries: MemoryEntry[]
  checkpoint?: (MemoryCheckpoint & { readonly bytes: number; readonly endOffset: number }) | undefined
  deletedAtMs?: number | undefined
}

/** What the stores in memory keep their documents in. It knows no rules of its own but retention. */
export class MemoryDisk {
  readonly documents = new Map<string, MemoryDocument>()
  readonly #watchers = new Map<string, Set<() => void>>()
  #disturbance: 'lose' | 'repeat' | undefined

  inOrder(): readonly (readonly [string, MemoryDocument])[] {
    return [...this.documents].toSorted(([left], [right]) => compareDocumentIds(left, right))
  }

  create(documentId: string, incarnation: string): MemoryDocument {
    const document: MemoryDocument = { incarnation, revision: 0, endOffset: 0, entries: [] }
    this.documents.set(documentId, document)
    this.announce(documentId)
    return document
  }

  delete(documentId: string, deletedAtMs: number): void {
    const document = this.documents.get(documentId)
    if (document === undefined) return
    const { incarnation, revision } = document
    this.documents.set(documentId, { incarnation, revision, endOffset: 0, entries: [], deletedAtMs })
    this.announce(documentId)
  }

  append(document: MemoryDocument, entries: readonly NewEntry[]): void {
    for (const { update, meta } of entries) {
      const entry = { update: update.slice(), meta: { ...meta } }
      document.entries.push({ ...entry, revision: ++document.revision, offset: document.endOffset })
      document.endOffset += update.length
    }
  }

  keepCheckpoint(
    documentId: string,
    checkpoint: MemoryCheckpoint,
    rule: { readonly retention: RetentionPolicy; readonly nowMs: number },
  ): void {
    const document = this.documents.get(documentId)
    if (document === undefined || checkpoint.revision <= (document.checkpoint?.revision ?? 0)) return
    const last = document.entries.find(({ revision }) => revision === checkpoint.revision)
    const endOffset = last === undefined ? 0 : last.offset + last.update.length
    const bytes = checkpoint.state.reduce((sum, chunk) => sum + chunk.length, 0)
    document.checkpoint = { ...checkpoint, bytes, endOffset }
    const { retention, nowMs } = rule
    const firstKept = document.entries.findLastIndex(
      ({ revision, offset, meta }) =>
        revision <= checkpoint.revision &&
        (checkpoint.revision - revision >= retention.entries ||
          endOffset - offset > retention.bytes ||
          nowMs - meta.committedAtMs > retention.ageMs),
    )
    document.entries = document.entries.slice(firstKept + 1)
  }

  /** Calls `changed` whenever the document may have changed. */
  watch(documentId: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(documentId) ?? new Set()
    this.#watchers.set(documentId, watchers.add(changed))
    return () => {
      watchers.delete(changed)
      if (watchers.size === 0) this.#watchers.delete(documentId)
    }
  }

  announce(documentId: string): void {
    const times = this.#disturbance === undefined ? 1 : this.#disturbance === 'lose' ? 0 : 2
    this.#disturbance = undefined
    for (const changed of this.#watchers.get(documentId) ?? [])
      for (let time = 0; time < times; time++) changed()
  }

  /** For tests: the next announcement is lost, or comes twice. */
  disturb(how: 'lose' | 'repeat'): void {
    this.#disturbance = how
  }
}

export function documentExists(documentId: string): PolyphonyError {
  return new PolyphonyError('document-exists', `"${documentId}" exists already.`, { documentId })
}

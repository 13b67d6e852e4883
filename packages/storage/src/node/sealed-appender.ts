import { isPolyphonyError, PolyphonyError, toPolyphonyError } from '@polyphony/core'
import { assertBatch, refuseAppend, refuseAppendAt } from '../append-check.ts'
import type { Append, AppendResult, DocumentStore, Head } from '../document-store.ts'
import type { DataKey, DataKeys } from './data-keys.ts'
import { sealEntry } from './sealed-value.ts'

/** Where the next append of a document is expected to go. */
interface Position {
  readonly incarnation: string
  revision: number
}

/** Part of a batch that still has no result. */
interface Open {
  readonly index: number
  readonly append: Append
}

const positionsMax = 10_000
const roundsMax = 50

/**
 * Appends whose place is known before they are encrypted. Positions are remembered, and moved on as soon as an append has
 * been handed on, so that appends to one document do not wait for each other. A position that turns out to be wrong is
 * looked up again, and what was refused because of it goes into another round.
 */
export class SealedAppender {
  readonly #store: DocumentStore
  readonly #keys: DataKeys
  readonly #positions = new Map<string, Position>()
  /** The last append of each document that has one on its way. */
  readonly #handed = new Map<string, Promise<unknown>>()

  constructor(store: DocumentStore, keys: DataKeys) {
    this.#store = store
    this.#keys = keys
  }

  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    assertBatch(batch)
    const results: (AppendResult | undefined)[] = batch.map(() => undefined)
    let open: readonly Open[] = []
    for (const [index, append] of batch.entries()) {
      const error = refuseAppend(append)
      if (error === undefined) open = [...open, { index, append }]
      else results[index] = { ok: false, error }
    }
    for (let round = 1; open.length > 0 && round <= roundsMax; round++)
      open = await this.#round(open, results)
    return batch.map(({ documentId }, index) => results[index] ?? { ok: false, error: overtaken(documentId) })
  }

  /** Returns those that have to be tried again. */
  async #round(open: readonly Open[], results: (AppendResult | undefined)[]): Promise<readonly Open[]> {
    const key = this.#keys.current ?? (await this.#keys.make())
    const ready: (Open & { readonly position: Position; readonly sealed: Append })[] = []
    // Positions first, for that may take time; from then on nothing may come between taking a place and handing it on.
    const unknown = open.filter(({ append }) => !this.#isAcceptable(append))
    for (const { index, append } of unknown) {
      const refusal = await this.#locate(append)
      if (refusal !== undefined) results[index] = { ok: false, error: refusal }
    }
    for (const item of open) {
      if (results[item.index] !== undefined) continue
      const position = this.#positions.get(item.append.documentId)
      // Others may have taken the place that it asks for; whether they get it has to be waited for.
      if (position === undefined || !this.#isAcceptable(item.append)) continue
      ready.push({ ...item, position, sealed: seal(key, item.append, position) })
    }
    const outcomes = ready.length === 0 ? [] : await this.#hand(ready.map(({ sealed }) => sealed))
    const again: Open[] = open.filter(
      ({ index, append }) => results[index] === undefined && !ready.some((item) => item.append === append),
    )
    for (const [at, { index, append, position }] of ready.entries()) {
      const outcome = outcomes[at]
      if (outcome?.ok !== true) this.#forget(append.documentId, position)
      if (isOvertaken(outcome)) again.push({ index, append })
      else results[index] = outcome
    }
    return again
  }

  async #hand(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    const handed = this.#store.append(batch)
    for (const { documentId } of batch) this.#handed.set(documentId, handed)
    try {
      return await handed
    } catch (error) {
      for (const { documentId } of batch) this.#positions.delete(documentId)
      throw error
    } finally {
      for (const { documentId } of batch)
        if (this.#handed.get(documentId) === handed) this.#handed.delete(documentId)
    }
  }

  /** Whether the position is known and meets what the caller expects. If it does not, it may be out of date. */
  #isAcceptable(append: Append): boolean {
    const position = this.#positions.get(append.documentId)
    return position !== undefined && refuseAppendAt(append, { ...position, bytes: 0 }) === undefined
  }

  /** Looks the position up; creates the document if there is none. Returns why the append is refused. */
  async #locate(append: Append): Promise<PolyphonyError | undefined> {
    const { documentId } = append
    // What is on its way moves the head.
    await this.#handed.get(documentId)?.catch(() => undefined)
    const stale = this.#positions.get(documentId)
    let head = await this.#store.head(documentId)
    const refusal = refuseAppendAt(append, head)
    if (refusal !== undefined) return refusal
    head ??= await this.#create(documentId)
    // Somebody else may have looked it up meanwhile, and moved it on.
    if (head !== undefined && this.#positions.get(documentId) === stale) this.#remember(documentId, head)
    return undefined
  }

  async #create(documentId: string): Promise<Head | undefined> {
    try {
      return await this.#store.create(documentId)
    } catch (error) {
      if (isPolyphonyError(error) && error.code === 'document-exists')
        return await this.#store.head(documentId)
      throw toPolyphonyError(error, 'store-failed', { documentId })
    }
  }

  #remember(documentId: string, { incarnation, revision }: Head): void {
    this.#positions.delete(documentId)
    this.#positions.set(documentId, { incarnation, revision })
    if (this.#positions.size <= positionsMax) return
    for (const oldest of this.#positions.keys()) {
      this.#positions.delete(oldest)
      return
    }
  }

  #forget(documentId: string, position: Position): void {
    if (this.#positions.get(documentId) === position) this.#positions.delete(documentId)
  }
}

/** Takes the next places of the document, and encrypts for them. */
function seal(key: DataKey, append: Append, position: Position): Append {
  const { documentId } = append
  const { incarnation, revision: expect } = position
  const entries = append.entries.map((entry) =>
    sealEntry(key, entry, { documentId, incarnation, revision: ++position.revision }),
  )
  return { documentId, entries, expect, incarnation }
}

/** Refused for the place that we chose: the caller's own wishes had been met by then. */
function isOvertaken(outcome: AppendResult | undefined): boolean {
  return (
    outcome?.ok === false &&
    (outcome.error.code === 'precondition-failed' || outcome.error.code === 'incarnation-mismatch')
  )
}

function overtaken(documentId: string): PolyphonyError {
  return new PolyphonyError(
    'store-failed',
    `"${documentId}" is written to by others faster than it can be encrypted for.`,
    {
      documentId,
    },
  )
}

import { isPolyphonyError, parseDocumentId, PolyphonyError, toPolyphonyError } from '@polyphony/core'
import { assertBatch, encodeMetas, refuseAppendAt } from '../append-check.ts'
import type { Append, AppendResult, DocumentStore, Head } from '../document-store.ts'
import type { DataKey, DataKeys } from './data-keys.ts'
import { EntrySealer } from './sealed-entries.ts'

/** Where the next append of a document is expected to go. */
interface Position {
  readonly incarnation: string
  readonly sealer: EntrySealer
  revision: number
  /** The last append that was handed on for a place counted here. */
  handed: Promise<unknown> | undefined
}

/** Part of a batch that still has no result. */
interface Open {
  readonly index: number
  readonly append: Append
  readonly metas: readonly Uint8Array[]
}

type Results = (AppendResult | undefined)[]

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
  /** Look-ups under way, for all who do not mind if one began before they came. */
  readonly #locating = new Map<string, Promise<AppendResult | undefined>>()

  constructor(store: DocumentStore, keys: DataKeys) {
    this.#store = store
    this.#keys = keys
  }

  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    assertBatch(batch)
    const results: Results = []
    let open: Open[] = []
    for (const [index, append] of batch.entries()) {
      try {
        parseDocumentId(append.documentId)
        open.push({
          index,
          append,
          metas: encodeMetas(append.entries, append.documentId),
        })
      } catch (error) {
        results[index] = refused(error, append.documentId)
      }
    }
    for (let round = 1; open.length > 0 && round <= roundsMax; round++) {
      const key = this.#keys.current ?? (await this.#keys.make())
      for (const { index, append } of open)
        if (!this.#isAcceptable(append)) results[index] = await this.#locateOnce(append)
      // From here to the store nothing may come between: a place that was taken is handed on in the same turn.
      open = await this.#seal(
        key,
        open.filter(({ index }) => results[index] === undefined),
        results,
      )
    }
    return batch.map(({ documentId }, index) => results[index] ?? overtaken(documentId))
  }

  /** Takes places for what is acceptable, and hands it on. Returns what has to be tried again. */
  async #seal(key: DataKey, open: readonly Open[], results: Results): Promise<Open[]> {
    const again: Open[] = []
    const ready: { readonly item: Open; readonly position: Position }[] = []
    const sealed: Append[] = []
    for (const item of open) {
      const position = this.#positions.get(item.append.documentId)
      // Others may have taken the place that it asks for; whether they get it has to be waited for.
      if (position === undefined || !this.#isAcceptable(item.append)) again.push(item)
      else {
        ready.push({ item, position })
        sealed.push(sealAppend(key, item, position))
      }
    }
    if (ready.length === 0) return again
    const handed = this.#store.append(sealed)
    for (const { position } of ready) position.handed = handed
    const outcomes = await handed.catch((error: unknown) => failedAsAWhole(error, sealed))
    for (const [at, { item, position }] of ready.entries()) {
      const outcome = outcomes[at]
      const { documentId } = item.append
      if (outcome?.ok !== true && this.#positions.get(documentId) === position)
        this.#positions.delete(documentId)
      if (isOvertaken(outcome)) again.push(item)
      else results[item.index] = outcome
    }
    return again
  }

  /** Whether the position is known and meets what the caller expects. If it does not, it may be out of date. */
  #isAcceptable(append: Append): boolean {
    const position = this.#positions.get(append.documentId)
    if (position === undefined) return false
    const { incarnation, revision } = position
    return (append.expect ?? revision) === revision && (append.incarnation ?? incarnation) === incarnation
  }

  /** An append that expects something must not be judged by a head from before its call. */
  async #locateOnce(append: Append): Promise<AppendResult | undefined> {
    const { documentId, expect, incarnation } = append
    if (expect !== undefined || incarnation !== undefined) return await this.#locate(append)
    const underWay = this.#locating.get(documentId)
    if (underWay !== undefined) return await underWay
    const locating = this.#locate(append).finally(() => this.#locating.delete(documentId))
    this.#locating.set(documentId, locating)
    return await locating
  }

  /** Looks the position up; creates the document if there is none. Gives a result when the append is refused. */
  async #locate(append: Append): Promise<AppendResult | undefined> {
    const { documentId } = append
    try {
      const stale = this.#positions.get(documentId)
      // What is on its way moves the head.
      await stale?.handed?.catch(() => undefined)
      let head = await this.#store.head(documentId)
      const refusal = refuseAppendAt(append, head)
      if (refusal !== undefined) throw refusal
      head ??= await this.#create(documentId)
      // Somebody else may have looked it up meanwhile, and moved it on.
      if (head !== undefined && this.#positions.get(documentId) === stale) this.#remember(documentId, head)
      return undefined
    } catch (error) {
      if (isPolyphonyError(error) && error.code === 'store-closed') throw error
      return refused(error, documentId)
    }
  }

  async #create(documentId: string): Promise<Head | undefined> {
    try {
      return await this.#store.create(documentId)
    } catch (error) {
      if (isPolyphonyError(error) && error.code === 'document-exists')
        return await this.#store.head(documentId)
      throw error
    }
  }

  #remember(documentId: string, { incarnation, revision }: Head): void {
    const sealer = new EntrySealer(documentId, incarnation)
    this.#positions.delete(documentId)
    this.#positions.set(documentId, { incarnation, sealer, revision, handed: undefined })
    if (this.#positions.size <= positionsMax) return
    for (const oldest of this.#positions.keys()) {
      this.#positions.delete(oldest)
      return
    }
  }
}

/** Takes the next places of the document, and encrypts for them. */
function sealAppend(key: DataKey, { append, metas }: Open, position: Position): Append {
  const { incarnation, revision: expect, sealer } = position
  const entries = sealer.seal(key, append.entries, metas, expect + 1)
  position.revision += entries.length
  return { documentId: append.documentId, entries, expect, incarnation }
}

/** Nobody knows what became of any of them. */
function failedAsAWhole(error: unknown, batch: readonly Append[]): readonly AppendResult[] {
  const reason = toPolyphonyError(error, 'store-failed')
  if (reason.code === 'store-closed') throw reason
  return batch.map(() => ({ ok: false, error: reason }))
}

/** Refused for the place that we chose: the caller's own wishes had been met by then. */
function isOvertaken(outcome: AppendResult | undefined): boolean {
  return (
    outcome?.ok === false &&
    (outcome.error.code === 'precondition-failed' || outcome.error.code === 'incarnation-mismatch')
  )
}

function refused(error: unknown, documentId: string): AppendResult {
  return { ok: false, error: toPolyphonyError(error, 'store-failed', { documentId }) }
}

function overtaken(documentId: string): AppendResult {
  const message = `"${documentId}" is written to by others faster than it can be encrypted for.`
  return { ok: false, error: new PolyphonyError('store-failed', message, { documentId }) }
}

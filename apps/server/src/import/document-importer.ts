import {
  PolyphonyError,
  assert,
  isPolyphonyError,
  type Clock,
  type ErrorCode,
  type Limits,
} from '@polyphony/core'
import { statePieces } from '@polyphony/server'
import { encodeUpdateSeries, type DocumentStore } from '@polyphony/storage'
import { jsonEquals, toJson, type JsonValue, type LayoutOptions } from '@polyphony/translator'
import * as Y from 'yjs'
import { integratedState, relationOf, type IntegratedState } from './integrated-state.ts'
import { readStoredDocument, type StoredDocument } from './stored-document.ts'

/**
 * What became of a document:
 * `imported` it was not there, `merged` what the store lacked was added, `present` it was there already, equal or with
 * later edits, `differs` it is there but lacks something, and was left alone.
 */
export type OutcomeKind = 'imported' | 'merged' | 'present' | 'differs'

export interface Outcome {
  readonly kind: OutcomeKind
  /** Of the document as it is in the source, as one update. */
  readonly bytes: number
  /** Bytes of edits that the source itself could not integrate, and that were left behind. */
  readonly pendingBytes: number
  /** Whether it was read back and compared. */
  readonly verified: boolean
}

export interface DocumentImporterOptions {
  readonly store: DocumentStore
  readonly clock: Clock
  readonly limits: Limits
  /** Find out what would happen, write nothing. */
  readonly dryRun: boolean
  /** Add what a document in the store lacks, instead of leaving it alone. */
  readonly merge: boolean
  /** Read back every document and compare it with the source. */
  readonly verify: boolean
  /** Leave behind what is pending in the source, instead of refusing the document. */
  readonly dropPending: boolean
}

export interface ImportedDocument {
  readonly documentId: string
  readonly state: IntegratedState
  readonly layout: LayoutOptions
  /** What the document has to look like as JSON, where the source is JSON. */
  readonly json?: JsonValue | undefined
}

interface Plan {
  readonly kind: OutcomeKind
  readonly write?: () => Promise<void>
}

interface Position {
  readonly last: number
  readonly incarnation: string
}

/** From this size on, the document is also stored as a checkpoint, so that servers need not make it at the first load. */
const checkpointBytesMin = 1 << 20
const attemptsMax = 5
const pauseMs = 100
/** Somebody else wrote meanwhile. Reading again tells what there is to do now. */
const overtaken: readonly ErrorCode[] = ['precondition-failed', 'incarnation-mismatch']

/** Brings single documents into a store. Doing it again changes nothing. */
export class DocumentImporter {
  readonly #options: DocumentImporterOptions

  constructor(options: DocumentImporterOptions) {
    this.#options = options
  }

  /** Whether the store has a document of this id, whatever is in it. */
  async has(documentId: string): Promise<boolean> {
    const head = await this.#options.store.head(documentId)
    return head !== undefined && head.tombstone === undefined
  }

  /**
   * Settles once the store has made the document durable. A store that fails is asked again, a few times, each time
   * beginning with what it has: nothing is written twice. Rejects with `update-too-large`, `document-too-large`,
   * `document-deleted`, `store-corrupt` when it reads back differently, and what the store rejects with.
   */
  async import(document: ImportedDocument): Promise<Outcome> {
    const { clock, limits, dropPending } = this.#options
    const { documentId, state } = document
    if (state.pendingBytes > 0 && !dropPending)
      throw new PolyphonyError(
        'invalid-update',
        `${state.pendingBytes} bytes of its edits build on others that the source has lost; --drop-pending imports the rest`,
        { documentId },
      )
    if (state.update.length > limits.documentBytesMax)
      throw new PolyphonyError(
        'document-too-large',
        `it has ${state.update.length} bytes, and a document here at most ${limits.documentBytesMax}`,
        { documentId, limit: 'documentBytesMax' },
      )
    let written: OutcomeKind | undefined
    for (let attempt = 1; ; attempt++) {
      try {
        const plan = await this.#plan(document)
        // An attempt whose outcome was not known did get through.
        const kind = plan.kind === 'present' ? (written ?? plan.kind) : plan.kind
        if (plan.write !== undefined && !this.#options.dryRun) {
          written = plan.kind
          await plan.write()
        }
        const verified = await this.#verify(document, kind)
        return { kind, bytes: state.update.length, pendingBytes: state.pendingBytes, verified }
      } catch (error) {
        const again = isPolyphonyError(error) && (error.retry || overtaken.includes(error.code))
        if (!again || attempt === attemptsMax) throw error
        await new Promise<void>((resolve) => clock.after(pauseMs * 2 ** attempt, resolve))
      }
    }
  }

  /** What there is to do, given what the store has now. */
  async #plan({ documentId, state, json, layout }: ImportedDocument): Promise<Plan> {
    const { store, merge } = this.#options
    const stored = await readStoredDocument(store, documentId)
    if (stored === undefined && state.isEmpty)
      return { kind: 'imported', write: async () => void (await store.create(documentId)) }
    if (stored === undefined || (!state.isEmpty && integratedState(stored.doc).isEmpty))
      return { kind: 'imported', write: () => this.#writeWhole(documentId, state, stored) }
    const relation = relationOf(stored.doc, state.doc)
    if (relation === 'contains') return { kind: 'present' }
    if (relation === 'equal')
      return { kind: looksEqual(stored.doc, { state, json, layout }) ? 'present' : 'differs' }
    if (!merge) return { kind: 'differs' }
    const missing = Y.encodeStateAsUpdate(state.doc, Y.encodeStateVector(stored.doc))
    return { kind: 'merged', write: async () => void (await this.#append(documentId, missing, stored)) }
  }

  /** The log comes first: a checkpoint may hold nothing that the log does not. Without the checkpoint nothing is lost. */
  async #writeWhole(
    documentId: string,
    { update, doc }: IntegratedState,
    stored?: StoredDocument,
  ): Promise<void> {
    const { last, incarnation } = await this.#append(documentId, update, stored)
    if (update.length < checkpointBytesMin) return
    const stateVector = Y.encodeStateVector(doc)
    await this.#options.store.checkpoint(documentId, {
      revision: last,
      incarnation,
      stateVector,
      state: encodeUpdateSeries([...statePieces(doc)].map((piece) => piece.update)),
    })
  }

  /** Compare-and-set: nothing is written if anybody else was quicker. */
  async #append(documentId: string, update: Uint8Array, stored?: StoredDocument): Promise<Position> {
    const { store, clock } = this.#options
    const entry = { update, meta: { author: 'import', committedAtMs: clock.now() } }
    const { revision = 0, incarnation } = stored ?? {}
    const [result] = await store.append([{ documentId, entries: [entry], expect: revision, incarnation }])
    assert(result !== undefined, 'an append has a result')
    if (!result.ok) throw result.error
    return result
  }

  /** Whether it was verified; throws when what the store gives back is something else. */
  async #verify(document: ImportedDocument, kind: OutcomeKind): Promise<boolean> {
    const { store, verify, dryRun } = this.#options
    if (!verify || dryRun || kind === 'differs') return false
    const { documentId, state } = document
    const { doc } = (await readStoredDocument(store, documentId)) ?? { doc: new Y.Doc() }
    const relation = relationOf(doc, state.doc)
    // Somebody may be editing it already.
    if (relation !== 'contains' && (relation === 'lacks' || !looksEqual(doc, document)))
      throw new PolyphonyError('store-corrupt', 'what the store gives back is not what the source has', {
        documentId,
      })
    return true
  }
}

/** The same ids could, by damage or by two writers with one id, stand for something else. */
function looksEqual(
  doc: Y.Doc,
  { state, json, layout }: Pick<ImportedDocument, 'state' | 'json' | 'layout'>,
): boolean {
  return jsonEquals(toJson(doc, layout), json ?? toJson(state.doc, layout))
}

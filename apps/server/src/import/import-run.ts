import { isPolyphonyError, parseDocumentId, type ErrorCode } from '@polyphony/core'
import { StartError } from '../start-error.ts'
import type { DocumentImporter, ImportedDocument, Outcome, OutcomeKind } from './document-importer.ts'
import type { ImportJournal } from './import-journal.ts'
import type { ImportSource } from './import-source.ts'
import { integratedState } from './integrated-state.ts'

/** How many documents, and how much, went where. */
export interface ImportTotals {
  /** How many there are in the source. */
  readonly documents: number
  /** How many of them are decided by now; the rest was not reached. */
  readonly seen: number
  readonly bytes: number
  readonly kinds: Readonly<Record<OutcomeKind | 'failed', number>>
  /** Documents that a journal of an earlier run says are done; part of `present`. */
  readonly fromJournal: number
  readonly verified: number
  /** Set when the run ended early, and says why. */
  readonly stopped?: string | undefined
}

export interface ImportRunOptions {
  readonly source: ImportSource
  readonly importer: DocumentImporter
  /** Put before the name that a document has in the source. */
  readonly prefix: string
  readonly journal?: ImportJournal | undefined
  readonly dryRun: boolean
  readonly verify: boolean
  /** Ends the run after the documents that are under way. */
  readonly signal: AbortSignal
  /** A document that needs somebody's attention, in words that name it. */
  readonly onProblem: (message: string) => void
  readonly onProgress: (totals: ImportTotals) => void
}

/** So many documents are written at a time: a store commits them together. */
const documentsInFlightMax = 8
/** And so many bytes, unless a single document has more; in memory they take several times as much. */
const bytesInFlightMax = 16 << 20
/** The store is gone: going on would fail for every document. */
const fatal: readonly ErrorCode[] = ['store-failed', 'store-closed', 'outcome-unknown', 'overloaded']

/** Brings all documents of a source into a store. Throws a `StartError` when the source cannot be listed, or is empty. */
export async function runImport(options: ImportRunOptions): Promise<ImportTotals> {
  const { source, signal } = options
  const names = await listNames(source)
  const run = new Run(options, names.length)
  for (const name of names) {
    if (signal.aborted) run.stop('stopped by a signal')
    if (run.isStopped) break
    if (!(await run.skip(name))) await run.start(name)
  }
  await run.settle()
  return run.totals
}

async function listNames(source: ImportSource): Promise<readonly string[]> {
  let names: readonly string[]
  try {
    names = (await source.names()).toSorted()
  } catch (error) {
    throw new StartError(`The documents of ${source.title} cannot be listed: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (names.length === 0)
    throw new StartError(`There are no documents in ${source.title}: is it the right place?`)
  return names
}

class Run {
  readonly #options: ImportRunOptions
  readonly #documents: number
  readonly #kinds = { imported: 0, merged: 0, present: 0, differs: 0, failed: 0 }
  readonly #inFlight = new Set<Promise<void>>()
  #bytesInFlight = 0
  #bytes = 0
  #fromJournal = 0
  #verified = 0
  #stopped: string | undefined

  constructor(options: ImportRunOptions, documents: number) {
    this.#options = options
    this.#documents = documents
  }

  get isStopped(): boolean {
    return this.#stopped !== undefined
  }

  get totals(): ImportTotals {
    const seen = Object.values(this.#kinds).reduce((sum, count) => sum + count, 0)
    return {
      documents: this.#documents,
      seen,
      bytes: this.#bytes,
      kinds: { ...this.#kinds },
      fromJournal: this.#fromJournal,
      verified: this.#verified,
      stopped: this.#stopped,
    }
  }

  stop(reason: string): void {
    this.#stopped ??= reason
  }

  /** Whether the journal says that the document is done, and the store still has one. */
  async skip(name: string): Promise<boolean> {
    const { journal, importer, prefix, verify, dryRun } = this.#options
    if (journal?.has(name, { verified: verify && !dryRun }) !== true) return false
    try {
      if (!(await importer.has(prefix + name))) return false
    } catch (error) {
      this.#fail(name, error)
      return true
    }
    this.#fromJournal++
    this.#count('present')
    return true
  }

  /** Loads a document, and begins to write it once there is room; settles then. */
  async start(name: string): Promise<void> {
    const { source, prefix } = this.#options
    let document: ImportedDocument
    try {
      const documentId = parseDocumentId(prefix + name)
      const { doc, json } = await source.load(name)
      document = { documentId, state: integratedState(doc), json, layout: source.layout(name) }
    } catch (error) {
      this.#fail(name, error)
      return
    }
    const bytes = document.state.update.length
    while (
      this.#inFlight.size >= documentsInFlightMax ||
      (this.#inFlight.size > 0 && this.#bytesInFlight + bytes > bytesInFlightMax)
    )
      await Promise.race(this.#inFlight)
    this.#bytesInFlight += bytes
    const task = this.#import(name, document).finally(() => {
      this.#bytesInFlight -= bytes
      this.#inFlight.delete(task)
    })
    this.#inFlight.add(task)
  }

  async settle(): Promise<void> {
    await Promise.all(this.#inFlight)
  }

  async #import(name: string, document: ImportedDocument): Promise<void> {
    try {
      this.#settled(name, await this.#options.importer.import(document))
    } catch (error) {
      this.#fail(name, error)
    } finally {
      document.state.doc.destroy()
    }
  }

  #settled(name: string, { kind, bytes, pendingBytes, verified }: Outcome): void {
    const { journal, dryRun, onProblem } = this.#options
    this.#bytes += bytes
    if (verified) this.#verified++
    if (pendingBytes > 0)
      onProblem(
        `${quote(name)}: left ${pendingBytes} bytes behind that build on edits which the source has lost.`,
      )
    if (kind === 'differs')
      onProblem(`${quote(name)}: the store has another document of this id, which was left as it is.`)
    else if (!dryRun) journal?.add(name, { verified })
    this.#count(kind)
  }

  #fail(name: string, error: unknown): void {
    const message = messageOf(error).replace(/\.$/, '')
    this.#options.onProblem(`${quote(name)}: ${message}.`)
    if (isPolyphonyError(error) && fatal.includes(error.code))
      this.stop(`the store does not answer (${error.code})`)
    this.#count('failed')
  }

  #count(kind: OutcomeKind | 'failed'): void {
    this.#kinds[kind]++
    this.#options.onProgress(this.totals)
  }
}

/** Names come from outside: no control characters, and not endless. */
function quote(name: string): string {
  const text = JSON.stringify(name)
  return text.length <= 200 ? text : `${text.slice(0, 200)}…"`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { StartError } from '../start-error.ts'

/** What a journal is about: one of another import is refused. */
export interface JournalSubject {
  readonly from: string
  readonly store: string
  readonly prefix: string
}

/**
 * A file of JSON lines that remembers which documents are done, so that a further run need not read them again. A line is
 * written once the store has the document; a line that a crash tore or lost only costs another look.
 */
export class ImportJournal {
  readonly #path: string
  readonly #done: ReadonlyMap<string, boolean>
  /** Goes before the first line that this run adds; a run that adds none leaves the file alone. */
  #prelude: string

  private constructor(path: string, done: ReadonlyMap<string, boolean>, prelude: string) {
    this.#path = path
    this.#done = done
    this.#prelude = prelude
  }

  /** Throws a `StartError` when the file is no journal, or that of another import. */
  static open(path: string, subject: JournalSubject): ImportJournal {
    const header = JSON.stringify({ polyphonyImport: 1, ...subject })
    if (!existsSync(path)) return new ImportJournal(path, new Map(), `${header}\n`)
    const [first, ...lines] = readFileSync(path, 'utf8').split('\n')
    if (first !== header)
      throw new StartError(
        `${path} is not the journal of this import: name another file, or remove it to begin anew.`,
      )
    const entries = lines.map(parseLine).filter((entry) => entry !== undefined)
    const verified = new Set(entries.filter(({ verified }) => verified).map(({ document }) => document))
    const done = new Map(entries.map(({ document }) => [document, verified.has(document)]))
    // A torn line must not swallow the next one.
    return new ImportJournal(path, done, '\n')
  }

  /** Whether the document is done and, if that is asked for, was verified. */
  has(name: string, { verified }: { readonly verified: boolean }): boolean {
    const entry = this.#done.get(name)
    return entry !== undefined && (entry || !verified)
  }

  add(name: string, { verified }: { readonly verified: boolean }): void {
    appendFileSync(this.#path, `${this.#prelude}${JSON.stringify({ document: name, verified })}\n`)
    this.#prelude = ''
  }
}

function parseLine(line: string): { document: string; verified: boolean } | undefined {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== 'object' || entry === null) return undefined
    const { document, verified } = entry as { document?: unknown; verified?: unknown }
    return typeof document === 'string' && typeof verified === 'boolean' ? { document, verified } : undefined
  } catch {
    // Torn by a crash, or the empty line after one.
    return undefined
  }
}

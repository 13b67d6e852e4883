import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { numberedState, numberedUpdate } from './numbered-update.ts'

/** How a process of its own opens the store: `module` exports `open(address, options)`; options as JSON. */
export interface WriterStore {
  /** The URL of a built package: processes of Node 20 cannot run TypeScript. */
  readonly module: string
  readonly open: string
  readonly address: string
  readonly options: Readonly<Record<string, unknown>>
}

/** What is needed of the store that looks afterwards; a `DocumentStore` has it. */
export interface ReadableStore {
  head(documentId: string): Promise<{ readonly revision: number } | undefined>
  read(documentId: string): AsyncIterable<WrittenItem>
}

type WrittenItem =
  | { readonly revision: number; readonly state: AsyncIterable<Uint8Array> }
  | { readonly revision: number; readonly update: Uint8Array; readonly meta: { readonly author: string } }

/**
 * Processes that write under load and are ended by `kill -9` at a moment of the test's choice, and what they were told:
 * every acknowledged entry and checkpoint must be there afterwards.
 */
export class KilledWriters {
  /** Entries over all of them. */
  acknowledged = 0
  readonly #store: WriterStore
  /** By document: the number of the update at each acknowledged revision. */
  readonly #updates = new Map<string, Map<number, number>>()
  readonly #checkpoints = new Map<string, number>()
  #rounds = 0

  constructor(store: WriterStore) {
    this.#store = store
  }

  /** One process, killed so long after it has opened the store. Rejects when it ends by itself. */
  async run(delayMs: number): Promise<void> {
    const { module, open, address, options } = this.#store
    const firstNumber = ++this.#rounds * 1_000_000
    const child = spawn(
      process.execPath,
      [writerScript, module, open, address, JSON.stringify(options), `${firstNumber}`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    let errors = ''
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
    const ended = new Promise<NodeJS.Signals | number | null>((resolve) => {
      child.on('close', (code, signal) => resolve(signal ?? code))
    })
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'ready') setTimeout(() => child.kill('SIGKILL'), delayMs)
      else this.#take(line)
    }
    const end = await ended
    if (end !== 'SIGKILL') throw new Error(`The writer ended by itself with ${end}: ${errors}`)
  }

  /** Throws unless everything acknowledged is there, in its place, byte for byte, and what else is there is whole. */
  async verify(store: ReadableStore): Promise<void> {
    for (const [documentId, updates] of this.#updates) {
      const promised = Math.max(...updates.keys())
      const head = (await store.head(documentId))?.revision ?? 0
      expect(head >= promised, `the head of ${documentId} is ${head}, and ${promised} was acknowledged`)
      const last = await this.#verifyDocument(store, documentId, updates)
      expect(last >= promised, `${documentId} is read up to ${last}, and ${promised} was acknowledged`)
    }
  }

  #take(line: string): void {
    const [word, documentId = '', place = '', numbers = ''] = line.split(' ')
    if (word === 'checkpoint') this.#checkpoints.set(documentId, Number(place))
    if (word !== 'ack') return
    const updates = this.#updates.get(documentId) ?? new Map<number, number>()
    this.#updates.set(documentId, updates)
    for (const [index, number] of numbers.split(',').entries()) {
      const revision = Number(place) + index
      expect(!updates.has(revision), `revision ${revision} of ${documentId} was given twice`)
      updates.set(revision, Number(number))
      this.acknowledged++
    }
  }

  async #verifyDocument(
    store: ReadableStore,
    documentId: string,
    updates: ReadonlyMap<number, number>,
  ): Promise<number> {
    let revision = 0
    for await (const item of store.read(documentId)) {
      if ('state' in item) {
        const parts: Uint8Array[] = []
        for await (const part of item.state) parts.push(part)
        const whole = Buffer.concat(numberedState(item.revision))
        expect(whole.equals(Buffer.concat(parts)), `the checkpoint of ${documentId} is not what it was`)
        const checkpointed = this.#checkpoints.get(documentId) ?? 0
        expect(item.revision >= checkpointed, `the checkpoint at ${checkpointed} of ${documentId} is gone`)
      } else {
        expect(item.revision === revision + 1, `${documentId} goes from ${revision} to ${item.revision}`)
        // One that was not acknowledged may be there, but then it is whole.
        const number = updates.get(item.revision) ?? Number(item.meta.author)
        const isWhole = Buffer.compare(item.update, numberedUpdate(number)) === 0
        expect(isWhole, `${documentId} has something else than ${number} at ${item.revision}`)
      }
      revision = item.revision
    }
    return revision
  }
}

/** Brings `dist` of a package, given by the URL of its folder, and of this one up to date; nothing to do after `pnpm build`. */
export async function buildForChildren(folder: URL): Promise<void> {
  const folders = [fileURLToPath(folder), fileURLToPath(new URL('..', import.meta.url))]
  for (const one of folders) await promisify(execFile)('pnpm', ['exec', 'tsc', '-b', one], { cwd: one })
}

const writerScript = fileURLToPath(new URL('../children/write-until-killed.mjs', import.meta.url))

function expect(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise)
}

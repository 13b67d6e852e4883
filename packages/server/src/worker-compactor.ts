import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { PolyphonyError } from '@polyphony/core'
import { compact, type CompactedState, type Compactor } from './compaction.ts'
import type { StatePiece } from './state-pieces.ts'

/** What the thread is told: more updates of a document, or that these were all. */
export type CompactionRequest =
  | { readonly type: 'updates'; readonly updates: readonly Uint8Array[] }
  | { readonly type: 'finish' }

export type CompactionAnswer =
  | { readonly type: 'taken' }
  | { readonly type: 'piece'; readonly piece: StatePiece }
  | { readonly type: 'done'; readonly stateVector: Uint8Array }
  | { readonly type: 'failed'; readonly error: string }

export interface WorkerCompactorOptions {
  /** Memory that the thread may take; a document that needs more is not compacted, and nothing else happens to it. */
  readonly memoryBytesMax: number
}

/** Below this size a thread costs more than it saves. */
const inlineBytesMax = 64 << 10
/** What is handed to the thread at a time: copying it takes about a millisecond. */
const batchBytesMax = 1 << 20
const batchUpdatesMax = 1_024

/** Makes small checkpoints at once and larger ones, one by one, on a thread of its own, started when first needed. */
export class WorkerCompactor implements Compactor {
  readonly #options: WorkerCompactorOptions
  #worker: Worker | undefined
  #conversation: Conversation | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: WorkerCompactorOptions) {
    this.#options = options
  }

  async compact(updates: readonly Uint8Array[]): Promise<CompactedState> {
    if (updates.reduce((bytes, update) => bytes + update.length, 0) <= inlineBytesMax) return compact(updates)
    const compacted = this.#last.then(() => this.#converse(updates))
    this.#last = compacted.catch(() => undefined)
    return compacted
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #converse(updates: readonly Uint8Array[]): Promise<CompactedState> {
    const worker = (this.#worker ??= this.#start())
    worker.ref()
    return new Promise<CompactedState>((resolve, reject) => {
      this.#conversation = new Conversation(worker, updates, { resolve, reject })
    }).finally(() => {
      this.#conversation = undefined
      worker.unref()
    })
  }

  #start(): Worker {
    const worker = new Worker(createRequire(import.meta.url).resolve('@polyphony/server/compaction-worker'), {
      // Flags of the process, such as conditions of a test runner, are not for built code.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(this.#options.memoryBytesMax / 2 ** 20) },
    })
    worker.on('message', (answer: CompactionAnswer) => this.#conversation?.hear(answer))
    const fail = (error: Error): void => {
      if (this.#worker === worker) this.#worker = undefined
      this.#conversation?.fail(error)
    }
    worker.on('error', fail)
    worker.on('exit', () => fail(new PolyphonyError('internal', 'The compaction thread ended.')))
    return worker
  }
}

/** One document's updates on their way to the thread, and its state on the way back. */
class Conversation {
  readonly #worker: Worker
  readonly #batches: Iterator<readonly Uint8Array[]>
  readonly #settle: {
    readonly resolve: (state: CompactedState) => void
    readonly reject: (error: Error) => void
  }
  readonly #pieces: StatePiece[] = []

  constructor(
    worker: Worker,
    updates: readonly Uint8Array[],
    settle: { readonly resolve: (state: CompactedState) => void; readonly reject: (error: Error) => void },
  ) {
    this.#worker = worker
    this.#batches = batchesOf(updates)
    this.#settle = settle
    this.#sendNext()
  }

  hear(answer: CompactionAnswer): void {
    switch (answer.type) {
      case 'taken':
        this.#sendNext()
        return
      case 'piece':
        this.#pieces.push(answer.piece)
        return
      case 'done':
        this.#settle.resolve({ pieces: this.#pieces, stateVector: answer.stateVector })
        return
      case 'failed':
        this.fail(new PolyphonyError('internal', `Compaction failed: ${answer.error}`))
    }
  }

  fail(error: Error): void {
    this.#settle.reject(error)
  }

  #sendNext(): void {
    const next = this.#batches.next()
    const request: CompactionRequest =
      next.done === true ? { type: 'finish' } : { type: 'updates', updates: next.value }
    this.#worker.postMessage(request)
  }
}

function* batchesOf(updates: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let batch: Uint8Array[] = []
  let bytes = 0
  for (const update of updates) {
    if (batch.length === batchUpdatesMax || (batch.length > 0 && bytes + update.length > batchBytesMax)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(update)
    bytes += update.length
  }
  if (batch.length > 0) yield batch
}

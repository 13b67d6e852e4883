import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { PolyphonyError } from '@polyphony/core'
import { compact, type CompactedState, type Compactor } from './compaction.ts'

/** Below this size a thread costs more than it saves. */
const inlineBytesMax = 64 << 10

type Answer = { readonly id: number } & (CompactedState | { readonly error: string })

/** Makes small checkpoints at once and larger ones on one thread of its own, started when first needed. */
export class WorkerCompactor implements Compactor {
  readonly #waiting = new Map<
    number,
    { resolve: (state: CompactedState) => void; reject: (error: Error) => void }
  >()
  #worker: Worker | undefined
  #nextId = 1

  async compact(updates: readonly Uint8Array[]): Promise<CompactedState> {
    if (updates.reduce((bytes, update) => bytes + update.length, 0) <= inlineBytesMax) return compact(updates)
    const worker = (this.#worker ??= this.#start())
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      worker.ref()
      worker.postMessage({ id, updates })
    })
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(createRequire(import.meta.url).resolve('@polyphony/server/compaction-worker'))
    worker.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if (this.#waiting.size === 0) worker.unref()
      if ('error' in answer)
        waiting?.reject(new PolyphonyError('internal', `Compaction failed: ${answer.error}`))
      else waiting?.resolve({ state: answer.state, stateVector: answer.stateVector })
    })
    const fail = (error: Error): void => {
      this.#worker = undefined
      for (const { reject } of this.#waiting.values()) reject(error)
      this.#waiting.clear()
    }
    worker.on('error', fail)
    worker.on('exit', () => fail(new PolyphonyError('internal', 'The compaction thread ended.')))
    return worker
  }
}

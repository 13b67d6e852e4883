import { parentPort } from 'node:worker_threads'
import { Compaction } from './compaction.ts'
import type { CompactionRequest, CompactionAnswer } from './worker-compactor.ts'

// The thread behind `WorkerCompactor`. One document at a time: its updates come in by the batch, each is answered once it
// is taken in; then the state goes out by the piece.
let compaction = new Compaction()

function answer(message: CompactionAnswer, transfer: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer)
}

parentPort?.on('message', (request: CompactionRequest) => {
  try {
    if (request.type === 'updates') {
      compaction.add(request.updates)
      answer({ type: 'taken' })
      return
    }
    const stateVector = compaction.stateVector()
    for (const piece of compaction.finish())
      answer({ type: 'piece', piece }, [piece.update.buffer as ArrayBuffer])
    answer({ type: 'done', stateVector })
  } catch (error) {
    answer({ type: 'failed', error: error instanceof Error ? error.message : String(error) })
  }
  compaction = new Compaction()
})

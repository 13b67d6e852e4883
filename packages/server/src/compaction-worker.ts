import { parentPort } from 'node:worker_threads'
import { compact } from './compaction.ts'

// The thread behind `WorkerCompactor`: { id, updates } comes in, { id, state, stateVector } or { id, error } goes out.
parentPort?.on('message', ({ id, updates }: { id: number; updates: readonly Uint8Array[] }) => {
  try {
    const { state, stateVector } = compact(updates)
    parentPort?.postMessage({ id, state, stateVector })
  } catch (error) {
    parentPort?.postMessage({ id, error: error instanceof Error ? error.message : String(error) })
  }
})

import { quantile } from '../quantile.ts'
import { sampleBytes } from './append-load.ts'
import { readThrough, type Subject } from './subjects.ts'

export interface CheckpointFigures {
  readonly writeMs: number
  /** Of appends to other documents while the checkpoint was written. */
  readonly appendP99Ms: number
  readonly appendMaxMs: number
  readonly readMs: number
  /** What reading took at its peak, beyond what the process had. */
  readonly readMegabytes: number
}

/** Stores a checkpoint of `bytes` while others append, and reads it through. `undefined` for what knows no checkpoints. */
export async function checkpointLoad(
  subject: Subject,
  bytes: number,
): Promise<CheckpointFigures | undefined> {
  const { store } = subject
  if (store === undefined) return undefined
  await subject.append('large', sampleBytes(100))
  const piece = sampleBytes(Math.min(bytes, 1 << 20))
  async function* state(): AsyncIterable<Uint8Array> {
    for (let left = bytes; left > 0; left -= piece.length)
      yield piece.subarray(0, Math.min(left, piece.length))
  }
  let writing = true
  const latencies: number[] = []
  const others = Array.from({ length: 4 }, async (_, lane) => {
    while (writing) {
      const startedAt = performance.now()
      await subject.append(`other-${lane}`, sampleBytes(100))
      latencies.push(performance.now() - startedAt)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  })
  const writtenAt = performance.now()
  await store.checkpoint('large', { revision: 1, stateVector: new Uint8Array(10), state: state() })
  const writeMs = performance.now() - writtenAt
  writing = false
  await Promise.all(others)

  const memory = watchMemory()
  const readAt = performance.now()
  const found = await readThrough(store, 'large')
  const readMs = performance.now() - readAt
  const readMegabytes = memory.stop()
  if (found !== bytes) throw new Error(`Read ${found} of ${bytes} bytes`)
  return {
    writeMs,
    appendP99Ms: quantile(latencies, 0.99),
    appendMaxMs: quantile(latencies, 1),
    readMs,
    readMegabytes,
  }
}

function watchMemory() {
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  return {
    stop(): number {
      clearInterval(timer)
      return (Math.max(peak, process.memoryUsage.rss()) - before) / 1e6
    },
  }
}

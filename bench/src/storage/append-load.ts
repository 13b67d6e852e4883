import * as Y from 'yjs'
import { quantile } from '../quantile.ts'
import type { Subject } from './subjects.ts'

export interface AppendFigures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of all threads of the process. */
  readonly cpuMicrosecondsEach: number
  readonly bytesOnDiskEach: number
}

export interface AppendLoad {
  readonly documents: number
  /** Appends under way per document; the next begins when one ends. */
  readonly inFlight: number
  readonly updates: number
  /** Over all documents. Given: appends begin at this rate, as far as `inFlight` lets them, and latency counts from when
   * they should have begun. */
  readonly perSecond?: number | undefined
}

/** Appends the updates, as fast as it goes or at a rate. */
export async function appendLoad(subject: Subject, load: AppendLoad): Promise<AppendFigures> {
  const updates = yjsUpdates()
  const latencies: number[] = []
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  let begun = 0
  const lane = async (documentId: string): Promise<void> => {
    while (begun < load.updates) {
      const due =
        load.perSecond === undefined ? performance.now() : startedAt + (begun / load.perSecond) * 1000
      const update = updates[begun++ % updates.length] ?? new Uint8Array()
      const earlyMs = due - performance.now()
      if (earlyMs > 0) await new Promise((resolve) => setTimeout(resolve, earlyMs))
      await subject.append(documentId, update)
      latencies.push(performance.now() - due)
    }
  }
  const lanes = Array.from({ length: load.inFlight }, () =>
    Array.from({ length: load.documents }, (_, document) => lane(`document-${document}`)),
  )
  await Promise.all(lanes.flat())
  const elapsedMs = performance.now() - startedAt
  const cpu = process.cpuUsage(cpuBefore)
  return {
    perSecond: (load.updates / elapsedMs) * 1000,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: quantile(latencies, 1),
    cpuMicrosecondsEach: (cpu.user + cpu.system) / load.updates,
    bytesOnDiskEach: (await subject.bytesOnDisk()) / load.updates,
  }
}

/** A thousand updates of about 100 bytes of one document, for peers that look into them. */
function yjsUpdates(): readonly Uint8Array[] {
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  const map = doc.getMap('state')
  for (let edit = 0; edit < 1000; edit++)
    map.set('title', Buffer.from(sampleBytes(52, edit + 1)).toString('base64'))
  return updates
}

/** Bytes half of which compress, as text does. */
export function sampleBytes(length: number, seed = 7): Uint8Array {
  let state = seed
  return Uint8Array.from({ length }, (_, at) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return at % 2 === 0 ? state >>> 24 : 97 + (at % 20)
  })
}

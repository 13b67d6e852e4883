import * as Y from 'yjs'
import { quantile } from '../quantile.ts'
import type { Subject } from './subject.ts'

export interface AppendFigures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of all threads of this process; a database server's own is not in it. */
  readonly cpuMicrosecondsEach: number
  readonly bytesOnDiskEach: number
}

export interface AppendLoad {
  readonly documents: number
  /** Appends under way per document at most. */
  readonly inFlight: number
  readonly seconds: number
  /**
   * Over all documents. Given: appends begin at this rate, as far as `inFlight` lets them, and latency counts from when
   * they should have begun. Absent: as fast as it goes, the next when one ends.
   */
  readonly perSecond?: number | undefined
}

/** Appends updates of about 100 bytes. The first quarter of the time, while code is compiled and files grow, is not counted. */
export async function appendLoad(subject: Subject, load: AppendLoad): Promise<AppendFigures> {
  const updates = yjsUpdates()
  const next = new Map<string, number>()
  let latencies: number[] = []
  let begun = 0
  let done = 0
  const append = (documentId: string, dueMs: number, ended: () => void): void => {
    begun++
    const number = next.get(documentId) ?? 0
    next.set(documentId, (number + 1) % updates.length)
    subject.append(documentId, updates[number] ?? new Uint8Array(), () => {
      done++
      latencies.push(performance.now() - dueMs)
      ended()
    })
  }
  const stop = load.perSecond === undefined ? startClosed(append, load) : startPaced(append, load)
  await sleep(load.seconds * 250)
  latencies = []
  const doneBefore = done
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  await sleep(load.seconds * 750)
  const cpu = process.cpuUsage(cpuBefore)
  const elapsedMs = performance.now() - startedAt
  const counted = done - doneBefore
  const measured = latencies
  latencies = []
  stop()
  // Whoever has collected more than it can write in this time is not waited for.
  for (const endMs = performance.now() + 2_000; done < begun && performance.now() < endMs;) await sleep(5)
  return {
    perSecond: (counted / elapsedMs) * 1000,
    p50Ms: quantile(measured, 0.5),
    p99Ms: quantile(measured, 0.99),
    maxMs: quantile(measured, 1),
    cpuMicrosecondsEach: (cpu.user + cpu.system) / counted,
    bytesOnDiskEach: (await subject.bytesOnDisk()) / done,
  }
}

type AppendOne = (documentId: string, dueMs: number, ended: () => void) => void

/** What follows comes in a turn of the loop of its own, as it does when it comes from sockets. */
function startClosed(append: AppendOne, { documents, inFlight }: AppendLoad): () => void {
  let running = true
  let ended: string[] = []
  const next = (documentId: string): void => {
    if (running && ended.push(documentId) === 1) setImmediate(sendNext)
  }
  const sendNext = (): void => {
    const round = ended
    ended = []
    if (running) for (const documentId of round) append(documentId, performance.now(), () => next(documentId))
  }
  for (const documentId of names(documents)) for (let lane = 0; lane < inFlight; lane++) next(documentId)
  return () => {
    running = false
  }
}

function startPaced(append: AppendOne, { documents, inFlight, perSecond = 1 }: AppendLoad): () => void {
  const startedAt = performance.now()
  const lanes = names(documents).map((documentId) => ({ documentId, underWay: 0 }))
  let sent = 0
  const timer = setInterval(() => {
    for (const now = performance.now(); ; sent++) {
      const dueMs = startedAt + (sent / perSecond) * 1000
      const lane = lanes[sent % documents]
      // The one that is full holds up those after it: they are late, and that is counted.
      if (dueMs > now || lane === undefined || lane.underWay === inFlight) return
      lane.underWay++
      append(lane.documentId, dueMs, () => lane.underWay--)
    }
  }, 1)
  return () => clearInterval(timer)
}

function names(documents: number): readonly string[] {
  return Array.from({ length: documents }, (_, number) => `document-${number}`)
}

/** Updates of about 100 bytes of one document, in order, for peers that look into them; used again from the first on. */
function yjsUpdates(): readonly Uint8Array[] {
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update: Uint8Array) => updates.push(update))
  const map = doc.getMap('state')
  for (let edit = 0; edit < 10_000; edit++) map.set('title', sampleText(68, edit + 1))
  return updates
}

/** Letters that compress to about a half, as text does. */
export function sampleText(length: number, seed = 7): string {
  let state = seed
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = at % 3 === 0 ? 97 + (at % 20) : 33 + ((state >>> 24) % 90)
  }
  return bytes.toString('latin1')
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

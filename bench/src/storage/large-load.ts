import { readFileSync, writeFileSync } from 'node:fs'
import type { Subject } from './subject.ts'

export interface SaveFigures {
  readonly saveMs: number
  /** The resident set of the process at its peak, beyond what it was before. */
  readonly saveMegabytes: number
  /** The longest that an append took meanwhile, counted from when it was due. */
  readonly otherWaitMs: number
  readonly sameWaitMs: number
  readonly megabytesOnDisk: number
}

export interface LoadFigures {
  readonly loadMs: number
  /** As `saveMegabytes`. The files that LevelDB maps count, although the kernel takes those pages back when it needs them. */
  readonly loadMegabytes: number
  /** Without such files: what the process itself asked for, looked at every 5 ms. */
  readonly loadOwnMegabytes: number
}

const intervalMs = 2

/** Stores a large state while appends to the same document and to others become due, each every 2 ms. */
export async function saveLarge(subject: Subject, file: string): Promise<SaveFigures> {
  const append = (documentId: string): Promise<void> =>
    new Promise((resolve) => subject.append(documentId, smallUpdate, resolve))
  const documents = ['large', 'other-1', 'other-2', 'other-3']
  // What is compiled and opened at the first time is not what is measured.
  for (let round = 0; round < 500; round++) await Promise.all(documents.map(append))
  const memory = watchMemory()
  const waits = new Map<string, number>()
  let writing = true
  const lanes = documents.map(async (documentId) => {
    for (let dueMs = performance.now() + intervalMs; writing; dueMs = performance.now() + intervalMs) {
      await new Promise((resolve) => setTimeout(resolve, intervalMs))
      await append(documentId)
      waits.set(documentId, Math.max(waits.get(documentId) ?? 0, performance.now() - dueMs))
    }
  })
  const startedAt = performance.now()
  await subject.save('large', file)
  const saveMs = performance.now() - startedAt
  writing = false
  await Promise.all(lanes)
  const saveMegabytes = memory.peakMegabytes()
  memory.ownPeakMegabytes()
  return {
    saveMs,
    saveMegabytes,
    otherWaitMs: Math.max(...documents.slice(1).map((documentId) => waits.get(documentId) ?? 0)),
    sameWaitMs: waits.get('large') ?? 0,
    megabytesOnDisk: (await subject.bytesOnDisk()) / 1e6,
  }
}

/** Reads what `saveLarge` stored, in a process that has not had it in memory. */
export async function loadLarge(subject: Subject, bytes: number): Promise<LoadFigures> {
  const memory = watchMemory()
  const startedAt = performance.now()
  const found = await subject.load('large')
  const loadMs = performance.now() - startedAt
  const loadMegabytes = memory.peakMegabytes()
  const loadOwnMegabytes = memory.ownPeakMegabytes()
  if (found < bytes) throw new Error(`Read ${found} of ${bytes} bytes`)
  return { loadMs, loadMegabytes, loadOwnMegabytes }
}

// A struct of one client that nobody else uses, so that it merges with any state.
const smallUpdate = Uint8Array.from([1, 1, 5, 0, 4, 1, 1, 110, 1, 120, 0])

/** The kernel keeps the peak of the whole; 5 sets it back to what there is now. */
function watchMemory(): { peakMegabytes(): number; ownPeakMegabytes(): number } {
  globalThis.gc?.()
  writeFileSync('/proc/self/clear_refs', '5')
  const before = memoryKilobytes('VmHWM')
  const ownBefore = memoryKilobytes('RssAnon')
  let ownPeak = ownBefore
  const look = (): void => {
    ownPeak = Math.max(ownPeak, memoryKilobytes('RssAnon'))
  }
  const timer = setInterval(look, 5)
  return {
    peakMegabytes: () => (memoryKilobytes('VmHWM') - before) / 1e3,
    ownPeakMegabytes() {
      clearInterval(timer)
      look()
      return (ownPeak - ownBefore) / 1e3
    },
  }
}

function memoryKilobytes(name: string): number {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)?.[1])
}

import { readFileSync, writeFileSync } from 'node:fs'
import type { Subject } from './subject.ts'

export interface SaveFigures {
  readonly saveMs: number
  /** The resident set of the process at its peak, beyond what it was before. */
  readonly saveMegabytes: number
  /** The longest that an append took meanwhile, counted from when it was due. */
  readonly otherWaitMs: number
  readonly sameWaitMs: number
  /** The same of the others during half a second before, when nothing large was written. */
  readonly idleWaitMs: number
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
const idleMs = 500
const largeDocument = 'large'
const documents = [largeDocument, 'other-1', 'other-2', 'other-3']

/** Stores a large state while appends to the same document and to others become due, each every 2 ms. */
export async function saveLarge(subject: Subject, file: string): Promise<SaveFigures> {
  // What is compiled and opened at the first time is not what is measured.
  for (let round = 0; round < 500; round++)
    await Promise.all(documents.map((documentId) => append(subject, documentId)))
  const idle = await whileAppending(subject, () => sleep(idleMs))
  const memory = watchMemory()
  const startedAt = performance.now()
  let saveMs = 0
  const waits = await whileAppending(subject, async () => {
    await subject.save(largeDocument, file)
    saveMs = performance.now() - startedAt
  })
  const { megabytes } = memory.stop()
  return {
    saveMs,
    saveMegabytes: megabytes,
    otherWaitMs: waits.otherMs,
    sameWaitMs: waits.sameMs,
    idleWaitMs: idle.otherMs,
    megabytesOnDisk: (await subject.bytesOnDisk()) / 1e6,
  }
}

/** The longest waits of appends, counted from when each was due, until `work` is done. */
async function whileAppending(
  subject: Subject,
  work: () => Promise<unknown>,
): Promise<{ readonly sameMs: number; readonly otherMs: number }> {
  let working = true
  const longest = documents.map(async (documentId) => {
    let waitedMs = 0
    for (let dueMs = performance.now() + intervalMs; working; dueMs = performance.now() + intervalMs) {
      await sleep(intervalMs)
      await append(subject, documentId)
      waitedMs = Math.max(waitedMs, performance.now() - dueMs)
    }
    return waitedMs
  })
  await work()
  working = false
  const [sameMs = 0, ...others] = await Promise.all(longest)
  return { sameMs, otherMs: Math.max(...others) }
}

function append(subject: Subject, documentId: string): Promise<void> {
  return new Promise((resolve) => subject.append(documentId, smallUpdate, resolve))
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Reads what `saveLarge` stored, in a process that has not had it in memory. */
export async function loadLarge(subject: Subject, bytes: number): Promise<LoadFigures> {
  const memory = watchMemory()
  const startedAt = performance.now()
  const found = await subject.load(largeDocument)
  const loadMs = performance.now() - startedAt
  const { megabytes, ownMegabytes } = memory.stop()
  if (found < bytes) throw new Error(`Read ${found} of ${bytes} bytes`)
  return { loadMs, loadMegabytes: megabytes, loadOwnMegabytes: ownMegabytes }
}

// A struct of one client that nobody else uses, so that it merges with any state.
const smallUpdate = Uint8Array.from([1, 1, 5, 0, 4, 1, 1, 110, 1, 120, 0])

/** The kernel keeps the peak of the whole; 5 sets it back to what there is now. */
function watchMemory(): { stop(): { readonly megabytes: number; readonly ownMegabytes: number } } {
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
    stop() {
      clearInterval(timer)
      look()
      return {
        megabytes: (memoryKilobytes('VmHWM') - before) / 1e3,
        ownMegabytes: (ownPeak - ownBefore) / 1e3,
      }
    },
  }
}

function memoryKilobytes(name: string): number {
  const status = readFileSync('/proc/self/status', 'utf8')
  return Number(new RegExp(`${name}:\\s*(\\d+)`).exec(status)?.[1])
}

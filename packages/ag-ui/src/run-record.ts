import type { Interrupt } from '@ag-ui/core'
import { PolyphonyError } from '@polyphony/core'
import * as Y from 'yjs'
import { messagesRoot, readMessage, runsRoot } from './conversation.ts'
import { writeMessages } from './conversation-writer.ts'
import type { MessageEdit } from './message-edit.ts'

/** `interrupt`: ended to wait for an answer of people; `failed`: also when whoever ran it is gone. */
export type RunStatus = 'running' | 'finished' | 'interrupt' | 'cancelled' | 'failed'

/** A run as it stands in the document, for interfaces. */
export interface StoredRun {
  readonly runId: string
  readonly threadId: string
  readonly agent: string
  /** Who asked for it. */
  readonly author: string
  readonly status: RunStatus
  readonly startedAtMs: number
  /** Last sign of life, while it is running. */
  readonly aliveAtMs: number
  readonly endedAtMs?: number | undefined
  readonly steps: readonly { readonly name: string; readonly status: 'running' | 'finished' }[]
  readonly interrupts?: readonly Interrupt[] | undefined
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string } | undefined
  /** Set by anybody who may write, to stop it. */
  readonly cancelRequested?: boolean | undefined
}

/** How a run ended. */
export interface RunEnd {
  readonly status: Exclude<RunStatus, 'running'>
  readonly endedAtMs: number
  readonly interrupts?: readonly Interrupt[] | undefined
  readonly result?: unknown
  readonly error?: { readonly code: string; readonly message: string } | undefined
}

/**
 * Notes that a run begins, and forgets the oldest ended ones beyond `keep`. Throws `run-exists`, before anything is
 * written, when the document knows a run of that id.
 */
export function startRun(
  doc: Y.Doc,
  run: Pick<StoredRun, 'runId' | 'threadId' | 'agent' | 'author' | 'startedAtMs'>,
  keep: number,
): void {
  const runs = doc.getMap<unknown>(runsRoot)
  if (runs.has(run.runId)) {
    throw new PolyphonyError(
      'run-exists',
      `There was a run "${run.runId}" before; give each run an id of its own.`,
    )
  }
  doc.transact(() => {
    const map = new Y.Map<unknown>(Object.entries({ ...run, status: 'running', aliveAtMs: run.startedAtMs }))
    map.set('steps', new Y.Array())
    runs.set(run.runId, map)
    if (runs.size <= keep) return
    const ended = readRuns(doc).filter(({ status }) => status !== 'running')
    for (const { runId } of ended.slice(0, runs.size - keep)) runs.delete(runId)
  })
}

/** The run is still there. */
export function touchRun(doc: Y.Doc, runId: string, nowMs: number): void {
  mapOf(doc, runId)?.set('aliveAtMs', nowMs)
}

/** A step of a run begins, or ends. Beyond `stepsMax` steps nothing is noted. */
export function markStep(
  doc: Y.Doc,
  runId: string,
  step: { readonly name: string; readonly status: 'running' | 'finished' },
  stepsMax: number,
): void {
  const steps = mapOf(doc, runId)?.get('steps')
  if (!(steps instanceof Y.Array)) return
  doc.transact(() => {
    if (step.status === 'running') {
      if (steps.length < stepsMax) steps.push([step])
      return
    }
    const index = steps
      .toArray()
      .findLastIndex((one) => isStep(one) && one.name === step.name && one.status === 'running')
    if (index < 0) return
    steps.delete(index)
    steps.insert(index, [step])
  })
}

/** Notes how a run ended. */
export function endRun(doc: Y.Doc, runId: string, end: RunEnd): void {
  const map = mapOf(doc, runId)
  if (map === undefined) return
  doc.transact(() => {
    for (const [name, value] of Object.entries(end)) if (value !== undefined) map.set(name, value)
  })
}

/** Asks whoever runs it to stop; `false` when no such run is under way. */
export function requestCancel(doc: Y.Doc, runId: string): boolean {
  const map = mapOf(doc, runId)
  if (map?.get('status') !== 'running') return false
  map.set('cancelRequested', true)
  return true
}

/** The runs that the document remembers, oldest first. O(runs). */
export function readRuns(doc: Y.Doc): StoredRun[] {
  if (!doc.share.has(runsRoot)) return []
  const runs = [...doc.getMap<unknown>(runsRoot).values()].map(runOf).filter((run) => run !== undefined)
  return runs.toSorted((a, b) => a.startedAtMs - b.startedAtMs)
}

/** A run of the document by its id. Costs nothing but that run. */
export function readRun(doc: Y.Doc, runId: string): StoredRun | undefined {
  return runOf(mapOf(doc, runId))
}

/**
 * Ends those running ones that give no sign of life any more, because the process that ran them is gone, and marks what
 * they left unfinished. Returns how many.
 */
export function endSilentRuns(doc: Y.Doc, nowMs: number, isSilent: (run: StoredRun) => boolean): number {
  const silent = readRuns(doc).filter((run) => run.status === 'running' && isSilent(run))
  if (silent.length === 0) return 0
  const ids = new Set(silent.map(({ runId }) => runId))
  doc.transact(() => {
    for (const { runId } of silent) {
      endRun(doc, runId, {
        status: 'failed',
        endedAtMs: nowMs,
        error: { code: 'agent-failed', message: 'The run gave no sign of life any more.' },
      })
    }
    writeMessages(doc, unfinishedOf(doc, ids), {})
  })
  return silent.length
}

function unfinishedOf(doc: Y.Doc, runIds: ReadonlySet<string>): MessageEdit[] {
  const edits: MessageEdit[] = []
  for (const item of doc.getArray(messagesRoot)) {
    const stored = readMessage(item)?.stored
    if (stored?.runId === undefined || !runIds.has(stored.runId)) continue
    if (stored.status === 'streaming') edits.push({ type: 'status', id: stored.id, status: 'interrupted' })
    for (const { id, status } of stored.toolCalls ?? [])
      if (status === 'arguments' || status === 'running')
        edits.push({ type: 'call-status', callId: id, status: 'interrupted' })
  }
  return edits
}

function mapOf(doc: Y.Doc, runId: string): Y.Map<unknown> | undefined {
  if (!doc.share.has(runsRoot)) return undefined
  const map = doc.getMap<unknown>(runsRoot).get(runId)
  return map instanceof Y.Map ? map : undefined
}

/** What anybody may have written there may be no run. */
function runOf(map: unknown): StoredRun | undefined {
  if (!(map instanceof Y.Map)) return undefined
  const run = map.toJSON() as StoredRun
  if (typeof run.runId !== 'string' || typeof run.startedAtMs !== 'number') return undefined
  return { ...run, steps: Array.isArray(run.steps) ? run.steps.filter(isStep) : [] }
}

function isStep(step: unknown): step is StoredRun['steps'][number] {
  return typeof step === 'object' && step !== null && 'name' in step && 'status' in step
}

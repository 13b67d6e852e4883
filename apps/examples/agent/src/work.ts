import type { DocumentAddress } from './document-address.ts'
import { nextStep } from './next-step.ts'
import { readPageState, restingAgent, type AgentPresence } from './page-state.ts'
import { patchDocument, type PatchOutcome } from './patch-document.ts'
import { pause } from './pause.ts'
import type { Step } from './step.ts'
import { readDocument, type Sight } from './watch-document.ts'

export interface WorkOptions {
  /** Names this very agent, so that only one of several works at a time. */
  readonly holder: string
  readonly signal: AbortSignal
  /** Time between two steps, so that people can follow. Default 140. */
  readonly paceMs?: number
  readonly onStep?: (step: Step) => void
}

export interface WorkReport {
  readonly steps: number
  /** `busy`: another agent is at work. */
  readonly outcome: 'done' | 'busy' | 'stopped'
}

/** After so many steps the agent looks again, to see what people wrote meanwhile. */
const stepsPerLook = 6
/** However much there is to do, and however often people get in its way. */
const turnsMax = 400
/** How long an agent that falls silent keeps others from working. */
export const holdMs = 10_000

/**
 * Does everything that there is to do in a document: looks at it through AG-UI, then writes one small JSON Patch after
 * the other, each anchored to what it saw plus what it wrote since.
 */
export async function work(address: DocumentAddress, options: WorkOptions): Promise<WorkReport> {
  const { signal } = options
  let sight = await look(address, signal)
  if (sight === undefined) return { steps: 0, outcome: 'stopped' }
  if (nextStep(readPageState(sight.state)) === undefined) return { steps: 0, outcome: 'done' }
  const claim = await claimWork(address, sight, options)
  if (!claim.ok) return { steps: 0, outcome: 'busy' }
  let anchor = claim.version
  let page = readPageState(sight.state)
  let steps = 0
  let sinceLook = 0
  for (let turns = 0; turns < turnsMax && !signal.aborted; turns++) {
    const step = nextStep(page)
    // Content with what it saw: is there something new?
    if (step === undefined && sinceLook === 0) break
    if (step === undefined || sinceLook >= stepsPerLook) {
      sight = await look(address, signal)
      if (sight === undefined) break
      page = readPageState(sight.state)
      anchor = sight.version
      sinceLook = 0
      continue
    }
    const outcome = await patchDocument(
      address,
      [...step.patch, present(options, step.note)],
      { anchor },
      signal,
    )
    if (!outcome.ok && !isOutdated(outcome)) throw new Error(`The server refused a patch: ${outcome.code}.`)
    if (outcome.ok) {
      anchor = outcome.version
      page = step.next
      steps += 1
      options.onStep?.(step)
    }
    // What could not be done as planned is planned anew, after a look.
    sinceLook = outcome.ok && !outcome.hasConflicts ? sinceLook + 1 : stepsPerLook
    await pause(options.paceMs ?? 140, signal)
  }
  await rest(address, anchor, steps)
  return { steps, outcome: signal.aborted ? 'stopped' : 'done' }
}

/** `undefined` when it was told to stop meanwhile. */
async function look(address: DocumentAddress, signal: AbortSignal): Promise<Sight | undefined> {
  try {
    return await readDocument(address, signal)
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

/** Compare and set, in plain JSON Patch: `test` what was seen, then take its place. */
async function claimWork(
  address: DocumentAddress,
  sight: Sight,
  options: WorkOptions,
): Promise<PatchOutcome> {
  const { state, version } = sight
  const { holder, untilMs } = readPageState(state).agent
  if (holder !== '' && holder !== options.holder && untilMs > Date.now())
    return { ok: false, status: 409, code: 'conflict' }
  const seen = typeof state === 'object' && state !== null && 'agent' in state ? [state.agent] : []
  const tests = seen.map((value) => ({ op: 'test', path: '/agent', value }) as const)
  const patch = [...tests, present(options, 'Is reading')]
  return await patchDocument(address, patch, { anchor: version, policy: 'strict' }, options.signal)
}

function present({ holder }: WorkOptions, note: string) {
  const presence: AgentPresence = { holder, status: 'working', note, untilMs: Date.now() + holdMs }
  return { op: 'add', path: '/agent', value: presence } as const
}

async function rest(address: DocumentAddress, anchor: string, steps: number): Promise<void> {
  const note = steps === 1 ? 'Made one change' : `Made ${steps} changes`
  const value = { ...restingAgent, note }
  await patchDocument(
    address,
    [{ op: 'add', path: '/agent', value }],
    { anchor },
    new AbortController().signal,
  )
}

/** Whether the version that the patch was anchored to is gone, or what it named. Looking again helps. */
function isOutdated(outcome: PatchOutcome): boolean {
  return !outcome.ok && (outcome.status === 409 || outcome.status === 410 || outcome.status === 422)
}

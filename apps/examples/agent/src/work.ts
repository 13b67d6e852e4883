import { HttpError, type PolyphonyAgent } from '@polyphony/client/agent'
import type { DocumentAddress } from './document-address.ts'
import { openAgent } from './document-agent.ts'
import { nextStep } from './next-step.ts'
import { readPageState, restingAgent, type AgentPresence } from './page-state.ts'
import { pause } from './pause.ts'
import type { Step } from './step.ts'

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

/** However much there is to do, and however often people get in its way. */
const turnsMax = 400
/** How long an agent that falls silent keeps others from working. */
export const holdMs = 10_000

/** Does everything that there is to do in a document, once. Rejects when the server refuses, or stays out of reach. */
export async function work(address: DocumentAddress, options: WorkOptions): Promise<WorkReport> {
  const { signal } = options
  if (signal.aborted) return { steps: 0, outcome: 'stopped' }
  const agent = openAgent(address)
  const stop = (): void => agent.abortRun()
  signal.addEventListener('abort', stop)
  try {
    await agent.runAgent({ forwardedProps: { polyphony: { mode: 'sync' } } })
    if (signal.aborted) return { steps: 0, outcome: 'stopped' }
    const watching = agent.connectAgent()
    try {
      return await workOn(agent, options)
    } finally {
      stop()
      await watching
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Does everything that there is to do in a document that the agent watches: one small JSON Patch after the other, each made
 * from the state as it is by then, with everything that people did meanwhile.
 */
export async function workOn(agent: PolyphonyAgent, options: WorkOptions): Promise<WorkReport> {
  const { signal } = options
  if (next(agent) === undefined) return { steps: 0, outcome: 'done' }
  if (!(await claimWork(agent, options))) return { steps: 0, outcome: 'busy' }
  let steps = 0
  for (let turns = 0; turns < turnsMax && !signal.aborted; turns++) {
    const step = next(agent)
    if (step === undefined) break
    if (await attempt(agent, [...step.patch, present(options, step.note)])) {
      steps += 1
      options.onStep?.(step)
    }
    await pause(options.paceMs ?? 140, signal)
  }
  const note = steps === 1 ? 'Made one change' : `Made ${steps} changes`
  await attempt(agent, [{ op: 'add', path: '/agent', value: { ...restingAgent, note } }])
  return { steps, outcome: signal.aborted ? 'stopped' : 'done' }
}

function next(agent: PolyphonyAgent): Step | undefined {
  return nextStep(readPageState(agent.state))
}

/** Compare and set, in plain JSON Patch: `test` what was seen, then take its place. */
async function claimWork(agent: PolyphonyAgent, options: WorkOptions): Promise<boolean> {
  const state: unknown = agent.state
  const { holder, untilMs } = readPageState(state).agent
  if (holder !== '' && holder !== options.holder && untilMs > Date.now()) return false
  const seen = typeof state === 'object' && state !== null && 'agent' in state ? [state.agent] : []
  const tests = seen.map((value) => ({ op: 'test', path: '/agent', value }) as const)
  return attempt(agent, [...tests, present(options, 'Is reading')], 'strict')
}

function present({ holder }: WorkOptions, note: string) {
  const presence: AgentPresence = { holder, status: 'working', note, untilMs: Date.now() + holdMs }
  return { op: 'add', path: '/agent', value: presence } as const
}

/** Whether the patch is stored. It is not when it no longer fits what is there, and looking again helps. */
async function attempt(
  agent: PolyphonyAgent,
  patch: readonly unknown[],
  policy: 'merge' | 'strict' = 'merge',
): Promise<boolean> {
  try {
    await agent.patch(patch as Parameters<PolyphonyAgent['patch']>[0], { policy })
    return true
  } catch (error) {
    if (error instanceof HttpError && (error.status === 409 || error.status === 422)) return false
    throw error
  }
}

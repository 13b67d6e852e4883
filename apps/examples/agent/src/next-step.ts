import { reconcileBox, renameTask, takeUpCall } from './checklist.ts'
import { capitaliseHeading } from './headings.ts'
import type { PageState } from './page-state.ts'
import { correctWord } from './proofread.ts'
import type { Step } from './step.ts'
import { writeSummary } from './summary.ts'

const skills = [correctWord, capitaliseHeading, takeUpCall, renameTask, reconcileBox, writeSummary]

/**
 * The whole mind of the agent: the next small change it would make to a state, or `undefined` when it is content. Every
 * step leads closer to that, so an agent that nobody interrupts always comes to rest.
 */
export function nextStep(state: PageState): Step | undefined {
  for (const skill of skills) {
    const step = skill(state)
    if (step !== undefined) return step
  }
  return undefined
}

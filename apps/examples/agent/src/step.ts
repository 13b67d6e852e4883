import type { PatchOperation } from './json-patch.ts'
import type { PageState } from './page-state.ts'

/** One small change that the agent makes, and what it leads to. */
export interface Step {
  /** For people: what was done. */
  readonly note: string
  readonly patch: readonly PatchOperation[]
  /** The state that the agent saw, with the patch carried out. */
  readonly next: PageState
}

/** A step that changes nothing but the text. */
export function textStep(state: PageState, text: string, note: string): Step {
  return { note, patch: [{ op: 'replace', path: '/text', value: text }], next: { ...state, text } }
}

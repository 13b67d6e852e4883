import {
  checkEdits,
  coalesceEdits,
  EventType,
  markStep,
  messagesRoot,
  touchRun,
  writeMessages,
  type AgentEvent,
  type MessageEdit,
  type MessageFold,
} from '@polyphony/ag-ui'
import { isPolyphonyError, type Limits } from '@polyphony/core'
import type { JsonPatch, JsonValue, JsonView, PatchResult, Version } from '@polyphony/translator'

/** Events that no document keeps and only the caller of a run gets. */
const passedOn: ReadonlySet<string> = new Set([
  'STEP_STARTED',
  'STEP_FINISHED',
  'CUSTOM',
  'RAW',
  'REASONING_START',
  'REASONING_END',
  'SUBAGENT_STARTED',
  'SUBAGENT_FINISHED',
  'SUBAGENT_ERROR',
])

type StateChange = { readonly patch: JsonPatch } | { readonly next: JsonValue }

/** What became of a batch, for the caller. */
export interface BatchOutcome {
  /** What the agent has seen now: as before, and its own edits. */
  readonly seen: Version
  readonly conflicts: PatchResult['conflicts']
  /** Patches that could not be applied at all. The agent goes on, as it would with the official client. */
  readonly refused: readonly { readonly code: string; readonly message: string }[]
}

/** What an agent said between two flushes: one edit of the document, and what is passed on to the caller after it. */
export class AgentBatch {
  readonly #changes: StateChange[] = []
  readonly #edits: MessageEdit[] = []
  readonly #steps: { readonly name: string; readonly status: 'running' | 'finished' }[] = []
  readonly passed: AgentEvent[] = []

  /** Whether there is nothing for the document in it. */
  get isEmpty(): boolean {
    return this.#changes.length + this.#edits.length + this.#steps.length === 0
  }

  /** Takes an event in. Throws for messages beyond their limits. */
  add(event: AgentEvent, fold: MessageFold): void {
    if ('delta' in event && Array.isArray(event.delta)) this.#changes.push({ patch: event.delta })
    else if ('snapshot' in event) this.#changes.push({ next: event.snapshot as JsonValue })
    else this.#edits.push(...fold.apply(event))
    if (event.type === EventType.STEP_STARTED || event.type === EventType.STEP_FINISHED) {
      const status = event.type === EventType.STEP_STARTED ? 'running' : 'finished'
      this.#steps.push({ name: event.stepName, status })
    }
    if (passedOn.has(event.type)) this.passed.push(event)
  }

  addEdits(edits: readonly MessageEdit[]): void {
    this.#edits.push(...edits)
  }

  /** Carries it out through the view of a document. Depends on nothing but the document, so it can be done again. */
  write(
    view: JsonView,
    about: {
      readonly seen: Version
      readonly pointer: string
      readonly runId: string
      readonly author: string
      readonly nowMs: number
      readonly limits: Limits
    },
  ): BatchOutcome {
    const { pointer, runId, author, nowMs, limits } = about
    const edits = coalesceEdits(this.#edits)
    const count = view.doc.share.has(messagesRoot) ? view.doc.getArray(messagesRoot).length : 0
    checkEdits(edits, count, limits)
    let { seen } = about
    const conflicts: PatchResult['conflicts'][number][] = []
    const refused: { code: string; message: string }[] = []
    for (const change of this.#changes) {
      try {
        const result =
          'patch' in change
            ? view.apply(below(change.patch, pointer), { at: seen })
            : view.assign(change.next, { at: seen, pointer })
        seen = result.version
        conflicts.push(...result.conflicts)
      } catch (error) {
        if (!isPolyphonyError(error) || error.code === 'revision-expired') throw error
        refused.push({ code: error.code, message: error.message })
      }
    }
    view.doc.transact(() => {
      writeMessages(view.doc, edits, { runId, author, createdAtMs: nowMs })
      for (const step of this.#steps) markStep(view.doc, runId, step, limits.toolCallsMax)
      touchRun(view.doc, runId, nowMs)
    })
    return { seen, conflicts, refused }
  }
}

/** A patch whose paths are relative to a pointer, as one of the whole document. */
function below(patch: JsonPatch, pointer: string): JsonPatch {
  if (pointer === '') return patch
  return patch.map((operation) =>
    'from' in operation
      ? { ...operation, path: pointer + operation.path, from: pointer + operation.from }
      : { ...operation, path: pointer + operation.path },
  )
}

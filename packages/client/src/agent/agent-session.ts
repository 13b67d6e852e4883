import { systemRandom } from '@polyphony/core'
import type { Conflict, SplicePatch } from '@polyphony/translator'
import { Backoff } from '../backoff.ts'
import { HttpError } from './event-stream.ts'
import type { HeldState, TakeResult } from './held-state.ts'
import {
  sendPatch,
  type PatchOptions,
  type PatchOutcome,
  type PatchRequest,
  type PatchTarget,
} from './patch-request.ts'
import type { StateChange } from './state-reader.ts'
import { hasReached } from './state-stamp.ts'

export interface AgentSessionParts {
  /** The part of the document that is the state. */
  readonly pointer: string
  readonly reconnect: { readonly firstMs: number; readonly maxMs: number }
  readonly target: () => PatchTarget
  /** The visible state has changed while no event was delivered. */
  readonly onChanged: () => void
  readonly onConflicts: (conflicts: readonly Conflict[], patch: SplicePatch) => void
  readonly onRefused: (error: HttpError, patch: SplicePatch) => void
}

/** How often an edit is tried while no run is going on; the next run tries again. */
const attemptsMax = 6
/** How long an edit that changed nothing stays visible when no event comes that tells what is there. */
const settleMs = 1_000

/** What one agent holds of one document, and the sending of its edits: one at a time, in order, until they are stored. */
export class AgentSession {
  readonly held: HeldState
  readonly #parts: AgentSessionParts
  readonly #waiters = new Set<() => void>()
  #streams = 0
  #isSending = false
  /** An edit whose outcome is not known yet. It is sent as it is until it is. */
  #unresolved: PatchRequest | undefined

  constructor(parts: AgentSessionParts, held: HeldState) {
    this.#parts = parts
    this.held = held
  }

  /** Delays for one stream or request. */
  backoff(): Backoff {
    return new Backoff({ random: systemRandom, ...this.#parts.reconnect })
  }

  /** Counts a run that delivers what happens to the state; the returned function ends it. */
  enter(): () => void {
    this.#streams += 1
    this.#pump()
    let left = false
    return () => {
      if (!left) this.#streams -= 1
      left = true
      this.#wake()
    }
  }

  /** Takes in what a stream tells. */
  take(change: StateChange): TakeResult {
    const result = this.held.take(change)
    this.#pump()
    this.#wake()
    return result
  }

  /** Makes the visible state into `next`, and sends what that changes. Returns whether it changes anything. */
  edit(next: unknown): boolean {
    const changed = this.held.edit(next)
    if (changed) this.#pump()
    return changed
  }

  /**
   * Resolves when no edit waits to be stored and, during a run, all are part of the confirmed state. Outside of a run also
   * when sending has been given up for now.
   */
  async flush(): Promise<void> {
    this.#pump()
    await this.#until(() => !this.#isSending && (!this.held.hasEdits || this.#streams === 0))
  }

  /** Resolves when nothing is on its way to the server. */
  async settle(): Promise<void> {
    this.#pump()
    await this.#until(() => !this.#isSending)
  }

  /** Sends a patch of the author's own making. Resolves when it is stored and, during a run, is part of the state. */
  async patch(patch: SplicePatch, options: PatchOptions): Promise<PatchOutcome> {
    const request = { ...options, patch: below(this.#parts.pointer, patch), key: crypto.randomUUID() }
    const outcome = await this.#send(request)
    if (outcome.changed)
      await this.#until(() => this.#streams === 0 || hasReached(this.held.version, outcome.storedAt))
    return outcome
  }

  #pump(): void {
    if (!this.#isSending) void this.#sendAll()
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true
    try {
      for (let request = this.#next(); request !== undefined; request = this.#next()) {
        this.#unresolved = request
        try {
          const outcome = await this.#send(request)
          this.#unresolved = undefined
          this.#stored(outcome, request)
        } catch (error) {
          if (!this.#failed(error, request)) return
        }
      }
    } finally {
      this.#isSending = false
      this.#wake()
    }
  }

  #next(): PatchRequest | undefined {
    if (this.#unresolved !== undefined) return this.#unresolved
    const edit = this.held.send()
    if (edit === undefined) return undefined
    return { patch: below(this.#parts.pointer, edit.patch), anchor: edit.anchor, key: crypto.randomUUID() }
  }

  #send(request: PatchRequest): Promise<PatchOutcome> {
    const backoff = this.backoff()
    return sendPatch(this.#parts.target, request, {
      backoff,
      mayRetry: () => this.#streams > 0 || backoff.attempts + 1 < attemptsMax,
    })
  }

  #stored({ version, storedAt, conflicts, changed }: PatchOutcome, { anchor, patch }: PatchRequest): void {
    this.#changing(() => {
      // During a run the feed tells what the state is now. Otherwise it is known only if nothing was merged into it.
      const isKnown = this.#streams === 0 && conflicts.length === 0 && hasReached(anchor, version)
      this.held.stored(storedAt, isKnown ? version : undefined)
    })
    if (conflicts.length > 0) this.#parts.onConflicts(conflicts, patch)
    if (!changed && this.held.sent !== undefined) this.#settleLater()
  }

  /** Returns whether to go on with the next edit. */
  #failed(error: unknown, { anchor, patch }: PatchRequest): boolean {
    // Whether it was stored is not known, or a new token is needed: it is kept as it is, for the next run or edit.
    if (!(error instanceof HttpError) || error.isPassing || error.status === 401) return false
    this.#unresolved = undefined
    if (error.code === 'revision-expired' || error.code === 'incarnation-mismatch') {
      // It was not stored. It is made anew from what is confirmed, as soon as that is something else.
      this.held.again()
      return this.held.version !== anchor
    }
    this.#changing(() => this.held.drop())
    this.#parts.onRefused(error, patch)
    return true
  }

  /** The feed never tells of an edit that changed nothing; others may have changed what it was about, which is on its way. */
  #settleLater(): void {
    const edit = this.held.sent
    setTimeout(() => {
      if (this.held.sent !== edit) return
      this.#changing(() => this.held.drop())
      this.#pump()
      this.#wake()
    }, settleMs)
  }

  #changing(task: () => void): void {
    const before = this.held.value
    task()
    if (this.held.value !== before) this.#parts.onChanged()
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiters.add(resolve))
  }

  #wake(): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter()
  }
}

/** A patch of what is at a pointer as one of the whole document. */
function below(pointer: string, patch: SplicePatch): SplicePatch {
  if (pointer === '') return patch
  return patch.map((operation) => ({
    ...operation,
    path: pointer + operation.path,
    ...('from' in operation ? { from: pointer + operation.from } : {}),
  }))
}

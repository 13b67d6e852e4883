import { PolyphonyError } from '@polyphony/core'
import type { JsonView } from '@polyphony/translator'
import type { Authorship, EditOptions, EditOutcome } from './document-handle.ts'
import { OvertakenError, type EditCondition } from './guarded-batch.ts'
import type { IdempotencyKeys } from './idempotency-keys.ts'
import type { ReplicaChange, ReplicaKeeper } from './replica-keeper.ts'
import { preconditionFailed } from './preconditions.ts'
import type { WaitingCalls } from './waiting-calls.ts'

export interface ServerEditsOptions {
  readonly documentId: string
  readonly replica: ReplicaKeeper
  readonly keys: IdempotencyKeys
  readonly waiting: WaitingCalls
  /** Brings what was planned into the log; resolves with its revision. */
  readonly commit: (authorship: Authorship, change: ReplicaChange) => Promise<number>
  /** The token of the newest state, for those whose edit came too late. */
  readonly currentToken: () => string
}

/** How often an edit is planned anew, because others kept writing, before its author is asked to come back. */
const replansMax = 4

/** Edits that are planned on the replica: once for each idempotency key, and exactly where they must stand. */
export class ServerEdits {
  readonly #options: ServerEditsOptions

  constructor(options: ServerEditsOptions) {
    this.#options = options
  }

  async run<T>(
    authorship: Authorship,
    plan: (view: JsonView) => T,
    options: EditOptions,
  ): Promise<EditOutcome<T>> {
    const { keys, waiting } = this.#options
    const { idempotencyKey } = authorship
    const earlier = keys.find(idempotencyKey)
    if (earlier !== undefined) return replayed(await waiting.wait(earlier))
    let committing: Promise<number> | undefined
    const outcome = this.#plan(authorship, plan, options, (commit) => (committing = commit))
    if (idempotencyKey !== undefined) {
      // Whoever planned it may stop waiting; the key is taken for as long as the bytes may still be stored.
      const revision = outcome.then(
        (known) => known.revision,
        (error: unknown) => committing ?? Promise.reject(error),
      )
      void keys.await(idempotencyKey, revision)
    }
    return outcome
  }

  async #plan<T>(
    authorship: Authorship,
    plan: (view: JsonView) => T,
    { exact = false }: EditOptions,
    onCommit: (commit: Promise<number>) => Promise<number>,
  ): Promise<EditOutcome<T>> {
    const { documentId, replica, keys, commit, currentToken } = this.#options
    const { idempotencyKey } = authorship
    const condition = conditionOf(exact, idempotencyKey === undefined ? undefined : keyIsFree)
    for (let tries = 0; ; tries++) {
      try {
        const done = await replica.edit(plan, (change) => onCommit(commit(authorship, change)), condition)
        return { ...done, replayed: false }
      } catch (error) {
        if (!(error instanceof OvertakenError)) throw error
        const revision = keys.revisionOf(idempotencyKey)
        if (revision !== undefined) return replayed(revision)
        if (exact) throw preconditionFailed(documentId, 'another node was quicker', currentToken())
        if (tries === replansMax) throw tooBusy(documentId, error)
      }
    }

    /** Another node may have been given the same request; its edit counts once it has arrived here. */
    function keyIsFree(): boolean {
      return keys.revisionOf(idempotencyKey) === undefined
    }
  }
}

function conditionOf(exact: boolean, keyIsFree: (() => boolean) | undefined): EditCondition | undefined {
  if (!exact) return keyIsFree
  return (known, planned) => known === planned && (keyIsFree?.() ?? true)
}

function replayed(revision: number): { revision: number; changed: false; replayed: true } {
  return { revision, changed: false, replayed: true }
}

function tooBusy(documentId: string, cause: Error): PolyphonyError {
  return new PolyphonyError(
    'overloaded',
    `Other nodes write "${documentId}" faster than this edit finds its place; come back with the same key.`,
    { documentId, cause },
  )
}

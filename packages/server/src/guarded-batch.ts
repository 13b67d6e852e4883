import type { Revision } from '@polyphony/storage'

/**
 * Whether an edit may stand directly above `known`. By then every entry up to `known` was seen here or written from here.
 *
 * @param planned what the edit was planned on
 */
export type EditCondition = (known: Revision, planned: Revision) => boolean

/**
 * Server-made edits that were planned together, at least one of them with a condition on the log. They are written
 * together or not at all, because later ones build on the earlier ones.
 */
export class GuardedBatch {
  /** Tells this batch from equal bytes that somebody else wrote. */
  readonly appendId: string
  readonly #planned: Revision
  readonly #conditions: EditCondition[] = []
  /** How often the store was asked in vain, because others had written in the meantime. */
  losses = 0
  /** Where its first entry was seen in the log, although the store has not said so. */
  landedAt: Revision | undefined

  constructor(appendId: string, planned: Revision) {
    this.appendId = appendId
    this.#planned = planned
  }

  require(condition: EditCondition): void {
    this.#conditions.push(condition)
  }

  holdsAt(known: Revision): boolean {
    return this.#conditions.every((holds) => holds(known, this.#planned))
  }
}

/** Why edits were thrown away before they were written: the log went on in a way that one of them had ruled out. */
export class OvertakenError extends Error {
  constructor() {
    super('The log has gone on meanwhile.')
    this.name = 'OvertakenError'
  }
}

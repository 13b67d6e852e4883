import { PolyphonyError } from '@polyphony/core'
import type { ReadRange, Revision } from './document-store.ts'

/** What a store has of a document: `first` to `head` as entries (none when `first > head`), and maybe a checkpoint. */
export interface Retained {
  readonly first: Revision
  readonly head: Revision
  readonly checkpoint?: Revision | undefined
}

export interface ReadPlan {
  readonly checkpoint: boolean
  /** Entries from here to `to`, both included; none when `from > to`. */
  readonly from: Revision
  readonly to: Revision
}

/**
 * What a read consists of: the one decision that every store shares. Throws `revision-expired` when `upTo` lies below
 * what is retained, `TypeError` for numbers that are no revisions.
 */
export function planRead(documentId: string, range: ReadRange, retained: Retained): ReadPlan {
  const { after, upTo } = range
  for (const revision of [after, upTo]) {
    if (revision !== undefined && (!Number.isSafeInteger(revision) || revision < 0))
      throw new TypeError(`A revision is a whole number of at least 0, not ${revision}`)
  }
  const { first, head, checkpoint } = retained
  const to = Math.min(upTo ?? head, head)
  const fromCheckpoint = checkpoint !== undefined && checkpoint <= to
  if (after === undefined && fromCheckpoint) return { checkpoint: true, from: checkpoint + 1, to }
  const from = (after ?? 0) + 1
  if (from > to || from >= first) return { checkpoint: false, from, to }
  if (fromCheckpoint && checkpoint >= from) return { checkpoint: true, from: checkpoint + 1, to }
  throw new PolyphonyError(
    'revision-expired',
    `Revisions ${from} to ${to} of "${documentId}" are no longer retained; the log begins at ${first}.`,
    { documentId, extra: { firstRetained: first } },
  )
}

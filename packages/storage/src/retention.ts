import type { Revision } from './document-store.ts'

/** How long entries that a checkpoint covers stay readable. All three bounds hold; 0 keeps none. */
export interface RetentionPolicy {
  readonly entries: number
  /** Bytes of the updates of those entries. */
  readonly bytes: number
  /** By `committedAtMs`; enforced when a checkpoint is made, so entries of a document at rest may live longer. */
  readonly ageMs: number
}

/** History for a day, bounded in keys and in bytes. */
export const defaultRetention: RetentionPolicy = { entries: 10_000, bytes: 16 << 20, ageMs: 24 * 3_600_000 }

/** What the log says about one covered entry. */
export interface RetainedEntry {
  readonly committedAtMs: number
  /** Bytes of all updates of the log before this entry, since revision 1. */
  readonly offset: number
}

export interface CoveredRange {
  /** The oldest entry that is still there. */
  readonly first: Revision
  /** The checkpoint's revision. */
  readonly last: Revision
  /** Bytes of all updates of the log up to and including `last`. */
  readonly endOffset: number
}

/**
 * The revision up to which entries can go; `first - 1` when none can. A binary search of O(log n) lookups. It takes
 * `committedAtMs` to grow with the revision, as it does but for the skew of the writers' clocks.
 */
export async function retentionCut(
  policy: RetentionPolicy,
  range: CoveredRange,
  nowMs: number,
  lookUp: (revision: Revision) => Promise<RetainedEntry>,
): Promise<Revision> {
  let low = Math.max(range.first, range.last - policy.entries + 1)
  let high = range.last + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const { committedAtMs, offset } = await lookUp(middle)
    if (nowMs - committedAtMs <= policy.ageMs && range.endOffset - offset <= policy.bytes) high = middle
    else low = middle + 1
  }
  return low - 1
}

import { PolyphonyError } from '@polyphony/core'
import { documentDeleted } from './append-check.ts'
import type { Checkpoint, Head } from './document-store.ts'
import { incarnationMismatch } from './head-condition.ts'

/** Misuse of `checkpoint` by the programmer: throws `TypeError`. */
export function assertCheckpoint({ revision }: Pick<Checkpoint, 'revision'>): void {
  if (!Number.isSafeInteger(revision) || revision < 1)
    throw new TypeError(`A checkpoint needs a revision of at least 1, not ${revision}`)
}

/** Why a checkpoint is refused at this head, or `undefined`. The same words for every store. */
export function refuseCheckpointAt(
  documentId: string,
  checkpoint: Pick<Checkpoint, 'revision' | 'incarnation'>,
  head: Head | undefined,
): PolyphonyError | undefined {
  const { revision, incarnation } = checkpoint
  if (head === undefined)
    return new PolyphonyError('document-not-found', `There is no document "${documentId}".`, { documentId })
  if (head.tombstone !== undefined) return documentDeleted(documentId)
  if (incarnation !== undefined && incarnation !== head.incarnation)
    return incarnationMismatch(documentId, incarnation, head.incarnation)
  if (revision > head.revision) {
    return new PolyphonyError(
      'precondition-failed',
      `A checkpoint of "${documentId}" at ${revision} is ahead of its log, which ends at ${head.revision}.`,
      { documentId, extra: { revision: head.revision } },
    )
  }
  return undefined
}

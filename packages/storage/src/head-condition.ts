import { PolyphonyError } from '@polyphony/core'
import type { Head, HeadCondition } from './document-store.ts'

/** Misuse by the programmer: throws `TypeError`. */
export function assertCondition({ expect }: HeadCondition): void {
  if (expect !== undefined && (!Number.isSafeInteger(expect) || expect < 0))
    throw new TypeError(`expect must be a revision, not ${expect}`)
}

/** Why a head does not meet a condition, or `undefined` when it does. The same words for every store. */
export function refuseHead(
  documentId: string,
  { expect, incarnation }: HeadCondition,
  head: Head | undefined,
): PolyphonyError | undefined {
  if (incarnation !== undefined && incarnation !== head?.incarnation)
    return incarnationMismatch(documentId, incarnation, head?.incarnation)
  const revision = head?.revision ?? 0
  if (expect === undefined || expect === revision) return undefined
  return new PolyphonyError(
    'precondition-failed',
    `"${documentId}" is at revision ${revision}, not ${expect}.`,
    { documentId, extra: { revision, expect } },
  )
}

/** The caller speaks of another life of the document. */
export function incarnationMismatch(
  documentId: string,
  wanted: string,
  found: string | undefined,
): PolyphonyError {
  return new PolyphonyError(
    'incarnation-mismatch',
    `"${documentId}" is now ${found ?? 'not there'}, not ${wanted}: read it anew.`,
    { documentId },
  )
}

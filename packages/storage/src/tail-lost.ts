import { isPolyphonyError, PolyphonyError } from '@polyphony/core'

/**
 * An `incarnation-mismatch` of its own kind: the store has lost the newest entries of the log (a failover, a restored
 * backup), and the document goes on as a new incarnation. Whoever still holds those entries can append them again.
 */
export function tailLost(documentId: string, incarnation: string): PolyphonyError {
  return new PolyphonyError(
    'incarnation-mismatch',
    `The store has lost the newest entries of "${documentId}" as ${incarnation}: read it anew.`,
    { documentId, extra: { tailLost: true } },
  )
}

/** Whether a document that ended with this error can be completed by what was known of it. */
export function isTailLost(error: unknown): boolean {
  return isPolyphonyError(error) && error.details.extra?.['tailLost'] === true
}

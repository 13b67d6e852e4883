import { PolyphonyError } from '@polyphony/core'

/** An edit was on its way to the store when its room ended or gave up. */
export function outcomeUnknown(documentId: string, cause: unknown): PolyphonyError {
  return new PolyphonyError(
    'outcome-unknown',
    `It is not known whether the edit of "${documentId}" was stored; read the document before trying again.`,
    { documentId, cause },
  )
}

/** The room is not sure of its state because of a defect. */
export function roomBroken(documentId: string, cause: unknown): PolyphonyError {
  return new PolyphonyError('internal', `"${documentId}" is opened anew after a failure.`, {
    documentId,
    cause,
  })
}

/** The room has given up on the store and takes nothing new until it answers. */
export function storeUnavailable(documentId: string): PolyphonyError {
  return new PolyphonyError(
    'store-failed',
    `The store does not answer; nothing was done to "${documentId}", try again later.`,
    { documentId },
  )
}

export function storeSilent(documentId: string, stalledForMs: number): PolyphonyError {
  return new PolyphonyError('store-failed', `The store has not answered for ${stalledForMs} ms.`, {
    documentId,
  })
}

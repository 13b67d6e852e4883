import { PolyphonyError } from '@polyphony/core'

/** What every call to a closed store rejects with. */
export function closedError(storeName: string): PolyphonyError {
  return new PolyphonyError('store-closed', `The ${storeName} store is closed.`)
}

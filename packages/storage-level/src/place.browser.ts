import type { Place } from './session.ts'

/** Nobody puts a copy of an IndexedDB database back. */
export function placeOf(_directory: string): Place | undefined {
  return undefined
}

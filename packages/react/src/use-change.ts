import type { PolyphonyDocument } from '@polyphony/client'
import { useCallback } from 'react'
import { useDocument } from './provider.ts'

/** `document.change`, the same function in every render. Called while there is no document, it throws. */
export function useChange(): PolyphonyDocument['change'] {
  const document = useDocument()
  return useCallback<PolyphonyDocument['change']>(
    (change, options) => {
      if (document === undefined)
        throw new Error('There is no document to change yet: it has not been opened.')
      return document.change(change, options)
    },
    [document],
  )
}

import type { ConnectionState, DocumentStatus } from '@polyphony/client'
import { useMemo } from 'react'
import { useDocument } from './provider.ts'
import { isShallowEqual, useSelected, type Source } from './use-selected.ts'

export type SavedStatus = Pick<DocumentStatus, 'saved' | 'savedLocally' | 'pending'>

const noDocument: DocumentStatus = {
  connection: 'offline',
  pending: 0,
  saved: false,
  savedLocally: false,
  loaded: false,
  access: 'write',
}
const whole = (status: DocumentStatus): DocumentStatus => status
const connectionOf = ({ connection }: DocumentStatus): ConnectionState => connection
const savedOf = ({ saved, savedLocally, pending }: DocumentStatus): SavedStatus => ({
  saved,
  savedLocally,
  pending,
})

/** All there is to say about how the document stands. */
export function useStatus(): DocumentStatus {
  return useSelected(useStatusSource(), whole)
}

/** Whether there is a connection; renders again when that changes, and for nothing else. */
export function useConnection(): ConnectionState {
  return useSelected(useStatusSource(), connectionOf)
}

/** What of the document the server has committed, and this machine has stored. */
export function useSaved(): SavedStatus {
  return useSelected(useStatusSource(), savedOf, isShallowEqual)
}

function useStatusSource(): Source<DocumentStatus> {
  const document = useDocument()
  return useMemo(
    () => ({
      subscribe: (changed) => document?.onStatus(changed) ?? (() => undefined),
      read: () => document?.status ?? noDocument,
      readOnServer: () => noDocument,
    }),
    [document],
  )
}

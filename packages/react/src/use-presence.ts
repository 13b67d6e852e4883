import type { PresentClient } from '@polyphony/client'
import { useCallback, useMemo } from 'react'
import { useDocument } from './provider.ts'
import { useSelected, type Source } from './use-selected.ts'

export interface PresenceResult {
  /** Everybody who has the document open, oneself included. */
  readonly clients: readonly PresentClient[]
  /** Says something of oneself, such as a name, a colour, a selection; `null`: that one is not there. */
  readonly set: (state: Readonly<Record<string, unknown>> | null) => void
}

const nobody: readonly PresentClient[] = []
const all = (clients: readonly PresentClient[]): readonly PresentClient[] => clients

/** Who is here. */
export function usePresence(): PresenceResult {
  const document = useDocument()
  const source = useMemo<Source<readonly PresentClient[]>>(
    () => ({
      subscribe: (changed) => document?.presence.subscribe(changed) ?? (() => undefined),
      read: () => document?.presence.clients ?? nobody,
      readOnServer: () => nobody,
    }),
    [document],
  )
  const clients = useSelected(source, all)
  const set = useCallback<PresenceResult['set']>((state) => document?.presence.set(state), [document])
  return useMemo(() => ({ clients, set }), [clients, set])
}

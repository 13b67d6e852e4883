import type { JsonValue, PolyphonyDocument } from '@polyphony/client'
import { createContext, createElement, useContext, useMemo, type ReactNode } from 'react'

export interface PolyphonyProviderProps {
  /** Undefined while there is none: on a server, or before `useOpenDocument` has opened it. */
  readonly document: PolyphonyDocument | undefined
  /** What `useValue` reads where there is no document, and for the first render after one on a server. Default `{}`. */
  readonly initialValue?: JsonValue | undefined
  readonly children?: ReactNode
}

interface Provided {
  readonly document: PolyphonyDocument | undefined
  readonly initialValue: JsonValue
}

const context = createContext<Provided | undefined>(undefined)
const emptyState: JsonValue = {}

/** Gives the components below it a document. */
export function PolyphonyProvider({
  document,
  initialValue = emptyState,
  children,
}: PolyphonyProviderProps): ReactNode {
  const provided = useMemo(() => ({ document, initialValue }), [document, initialValue])
  return createElement(context.Provider, { value: provided }, children)
}

/** The document, or undefined while there is none. Throws outside of a `PolyphonyProvider`. */
export function useDocument(): PolyphonyDocument | undefined {
  return useProvided().document
}

/** For the hooks of this package. */
export function useProvided(): Provided {
  const provided = useContext(context)
  if (provided === undefined)
    throw new Error(
      'This component uses a hook of @polyphony/react and must be inside of a <PolyphonyProvider>.',
    )
  return provided
}

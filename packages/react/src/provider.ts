import type { JsonValue, PolyphonyDocument } from '@polyphony/client'
import { createContext, createElement, useContext, useMemo, type ReactNode } from 'react'

/** A document, whatever its state looks like. */
export type AnyDocument = Omit<PolyphonyDocument, 'change' | 'value'>

export interface PolyphonyProviderProps {
  /** Undefined while there is none: on a server, or before `useOpenDocument` has opened it. */
  readonly document: AnyDocument | undefined
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
  const provided = useMemo(
    // The hooks that care say what the state looks like; the others do not look at it.
    () => ({ document: document as PolyphonyDocument | undefined, initialValue }),
    [document, initialValue],
  )
  return createElement(context.Provider, { value: provided }, children)
}

/** The document, or undefined while there is none. Throws outside of a `PolyphonyProvider`. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the application says what its state looks like
export function useDocument<T = JsonValue>(): PolyphonyDocument<T> | undefined {
  return useProvided().document as unknown as PolyphonyDocument<T> | undefined
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

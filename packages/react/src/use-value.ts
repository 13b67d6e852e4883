import { valueAt, type JsonValue } from '@polyphony/client'
import { useCallback, useMemo } from 'react'
import { useProvided } from './provider.ts'
import { useSelected, type Source } from './use-selected.ts'

/** What is at a JSON pointer. The component renders again only when that part has changed. */
export function useValue(pointer: string): JsonValue | undefined
/** What a function makes of the state; renders again when that differs by `isEqual`. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the application says what its state looks like
export function useValue<R, T = JsonValue>(select: (state: T) => R, isEqual?: (a: R, b: R) => boolean): R
export function useValue<R, T>(
  what: string | ((state: T) => R),
  isEqual?: (a: unknown, b: unknown) => boolean,
): unknown {
  const source = useStateSource()
  const byPointer = useCallback((state: JsonValue) => valueAt(state, String(what)), [what])
  // The application says what its documents look like; nothing checks it.
  const select = typeof what === 'function' ? (what as (state: JsonValue) => unknown) : byPointer
  return useSelected(source, select, isEqual)
}

function useStateSource(): Source<JsonValue> {
  const { document, initialValue } = useProvided()
  return useMemo(
    () => ({
      subscribe: (changed) => document?.subscribe('', changed) ?? (() => undefined),
      read: () => document?.get('') ?? initialValue,
      readOnServer: () => initialValue,
    }),
    [document, initialValue],
  )
}

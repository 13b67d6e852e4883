import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react'

/** Something outside of React that changes, and says so; `read` gives the same object until it does. */
export interface Source<S> {
  readonly subscribe: (changed: () => void) => () => void
  readonly read: () => S
  /** While rendering on a server, and for the first render in the browser after that. */
  readonly readOnServer: () => S
}

/**
 * A part of a source. The component renders again only when the part differs: by `isEqual`, and then the old one stays,
 * so that it can be a dependency of effects. `source` must be memoized; `select` need not be.
 */
export function useSelected<S, R>(
  { subscribe, read, readOnServer }: Source<S>,
  select: (source: S) => R,
  isEqual: (a: R, b: R) => boolean = Object.is,
): R {
  // What was rendered last; written only in an effect, for a render may be thrown away.
  const rendered = useRef<{ readonly value: R } | undefined>(undefined)
  const [readSelected, readSelectedOnServer] = useMemo(() => {
    let last: { readonly source: S; readonly value: R } | undefined
    const selected = (source: S): R => {
      if (last !== undefined && Object.is(last.source, source)) return last.value
      const value = select(source)
      const before = last ?? rendered.current
      last = { source, value: before !== undefined && isEqual(before.value, value) ? before.value : value }
      return last.value
    }
    return [() => selected(read()), () => selected(readOnServer())] as const
  }, [read, readOnServer, select, isEqual])
  const value = useSyncExternalStore(subscribe, readSelected, readSelectedOnServer)
  useEffect(() => {
    rendered.current = { value }
  }, [value])
  return value
}

/** Whether two flat objects have the same members. */
export function isShallowEqual<T extends object>(a: T, b: T): boolean {
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.is(Reflect.get(a, key), Reflect.get(b, key)))
  )
}

/** What Polyphony says about a state event, in `metadata.polyphony`. */
export interface StateStamp {
  /** Token of the version that the event leads to. */
  readonly version: string
  /** Token of the version that it applies to; `null` for a snapshot, which applies to anything. */
  readonly previous: string | null
  /** More events follow before `version` is reached. */
  readonly isPartial: boolean
}

/** Reads the stamp of an event; `undefined` when there is none, because another server made the event. */
export function readStamp(metadata: unknown): StateStamp | undefined {
  if (typeof metadata !== 'object' || metadata === null || !('polyphony' in metadata)) return undefined
  const stamp = metadata.polyphony
  if (typeof stamp !== 'object' || stamp === null) return undefined
  const { version, previous, partial } = {
    version: undefined,
    previous: null,
    partial: undefined,
    ...stamp,
  } as {
    readonly [name: string]: unknown
  }
  if (typeof version !== 'string') return undefined
  return { version, previous: typeof previous === 'string' ? previous : null, isPartial: partial === true }
}

/**
 * Whether whoever holds the version `held` has seen all that `token` names. Versions of two incarnations of a document
 * have nothing to do with each other.
 */
export function hasReached(held: string | undefined, token: string): boolean {
  const [a, b] = [placeOf(held), placeOf(token)]
  return a !== undefined && b !== undefined && a.incarnation === b.incarnation && a.revision >= b.revision
}

/** A token is `incarnation.revision`, with `~` and an author's own edits after it. */
function placeOf(token: string | undefined): { incarnation: string; revision: number } | undefined {
  const match = /^([^.]+)\.(\d+)(?:~|$)/.exec(token ?? '')
  return match === null ? undefined : { incarnation: match[1] ?? '', revision: Number(match[2]) }
}

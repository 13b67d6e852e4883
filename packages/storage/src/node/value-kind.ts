/*
 * How a stored value begins that is not just what was given to the store: four bytes, and one that says what follows. As a
 * number of clients, which is how a Yjs update and a state vector begin, they would mean at least 800 MB. So no client can
 * write an update that looks like this, and values of any kind can stand beside each other in one log.
 */
const prefix = Uint8Array.of(0xff, 0xff, 0xff, 0xff)

export const valueKind = {
  sealedEntry: 1,
  sealedStateVector: 2,
  /** Only a name for what is authenticated: the chunks of a state are frames. */
  sealedChunk: 3,
  /** Several entries, stored in place of the last of them. */
  sealedGroup: 4,
  /** An entry that is in the group that follows. */
  sealedMember: 5,
  /** Length (uint32, little-endian) and brotli. */
  brotli: 16,
  /** A value that itself begins like one of these. */
  asIs: 17,
  /** The state of a checkpoint as frames, each a value of at most 256 KB. */
  frames: 18,
} as const

export const kindBytes = prefix.length + 1

/** The kind of a value; `undefined` for one that is as it was given. */
export function kindOf(value: Uint8Array): number | undefined {
  for (let at = 0; at < prefix.length; at++) if (value[at] !== prefix[at]) return undefined
  const kind = value[prefix.length]
  // Higher ones begin a series of updates.
  return kind === undefined || kind >= 0x80 ? undefined : kind
}

/** What a value of the kind begins with. */
export function headerOf(kind: number): Uint8Array {
  return Uint8Array.of(...prefix, kind)
}

export function isSealed(value: Uint8Array): boolean {
  const kind = kindOf(value)
  return kind !== undefined && kind <= valueKind.sealedMember
}

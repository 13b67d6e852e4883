/**
 * The update number `number`: its bytes follow from the number alone, so that whoever reads it back can tell whether it is
 * whole. Most are short, one in a hundred is stored in chunks.
 */
export function numberedUpdate(number: number): Uint8Array {
  const length = number % 100 === 99 ? 300_000 + (number % 1000) : 20 + ((number * 37) % 500)
  const update = new Uint8Array(length)
  let state = (number * 2654435761) >>> 0 || 1
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    update[at] = state
  }
  new DataView(update.buffer).setUint32(0, number)
  return update
}

/** The state of a checkpoint at `revision`, in a large and a small piece. */
export function numberedState(revision: number): readonly Uint8Array[] {
  return [numberedUpdate(revision * 100 + 99), numberedUpdate(revision * 100)]
}

/** Numbers from 0 to below 1, the same for the same seed; for moments and choices that a failed run can repeat. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The seed of kill tests: `POLYPHONY_SEED`, else always the same. */
export const killSeed = Number(process.env['POLYPHONY_SEED'] ?? 20_261_124)

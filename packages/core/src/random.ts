/** Randomness as the core sees it, so that one seed can reproduce a run. */
export interface Random {
  /** An unsigned 32-bit integer. */
  uint32(): number
  /** A lower-case hexadecimal string of `bytes` random bytes. */
  hex(bytes: number): string
}

export const systemRandom: Random = {
  uint32: () => fill(4).reduce((value, byte) => value * 256 + byte, 0),
  hex: (bytes) => Array.from(fill(bytes), (byte) => byte.toString(16).padStart(2, '0')).join(''),
}

function fill(bytes: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(bytes))
}

declare const crypto: { getRandomValues(array: Uint8Array): Uint8Array }

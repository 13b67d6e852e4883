import type { Random } from '@polyphony/core'

/** Reproducible randomness (mulberry32). */
export class SeededRandom implements Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  hex(bytes: number): string {
    return Array.from({ length: bytes }, () => (this.uint32() & 0xff).toString(16).padStart(2, '0')).join('')
  }

  /** A whole number from 0 to `below - 1`. */
  int(below: number): number {
    return this.uint32() % below
  }

  chance(probability: number): boolean {
    return this.uint32() < probability * 2 ** 32
  }

  pick<T>(values: readonly T[]): T {
    if (values.length === 0) throw new RangeError('Nothing to pick from')
    return values[this.int(values.length)] as T
  }
}

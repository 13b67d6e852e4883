/** One event, ready to send; shared by all readers that need the same. */
export interface Frame {
  readonly kind: 'snapshot' | 'delta'
  readonly bytes: Uint8Array
}

/**
 * The frames that bring a reader to a version, made when the first reader gets to them and kept for the others. A large
 * state is thus never encoded all at once, and only once.
 */
export class FrameList {
  readonly #source: Iterator<Frame>
  readonly #made: Frame[] = []
  #bytes = 0

  constructor(source: Iterable<Frame>) {
    this.#source = source[Symbol.iterator]()
  }

  /** The frame at `index`, `undefined` after the last. Throws what making it throws. */
  at(index: number): Frame | undefined {
    while (this.#made.length <= index) {
      const next = this.#source.next()
      if (next.done === true) return undefined
      this.#made.push(next.value)
      this.#bytes += next.value.bytes.byteLength
    }
    return this.#made[index]
  }

  /** Bytes of the frames made so far. */
  get bytes(): number {
    return this.#bytes
  }
}

import { startSlices, type Turns } from '@polyphony/core'

/** One event, ready to send; shared by all readers that need the same. */
export interface Frame {
  readonly kind: 'snapshot' | 'delta'
  readonly bytes: Uint8Array
}

/** Hears of the bytes that frame lists take up. */
export interface FrameMemory {
  count(bytes: number): void
}

/**
 * The frames that bring a reader to a version. They are made by slices from the moment at which somebody asks for the first
 * one, and kept for all readers, until nobody holds the list. A large state is thus never encoded all at once, and only
 * once.
 */
export class FrameList {
  readonly #source: Iterable<Frame | number>
  readonly #turns: Turns
  readonly #memory: FrameMemory | undefined
  readonly #frames: Frame[] = []
  readonly #listeners = new Set<() => void>()
  #status: 'new' | 'making' | 'complete' | 'failed' | 'released' = 'new'
  #error: unknown
  #holders = 0
  #bytes = 0
  #cancel: () => void = () => undefined

  /** @param source frames, and in between what it cost to come so far, in microseconds */
  constructor(source: Iterable<Frame | number>, turns: Turns, memory?: FrameMemory) {
    this.#source = source
    this.#turns = turns
    this.#memory = memory
  }

  /** Bytes of the frames made so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether it is large enough to take several turns, and is not finished yet. */
  get isMaking(): boolean {
    return this.#status === 'making'
  }

  get hasFailed(): boolean {
    return this.#status === 'failed'
  }

  /** The frame at `index`, `undefined` after the last, `pending` while it is being made. Throws what making it throws. */
  at(index: number): Frame | 'pending' | undefined {
    if (this.#status === 'new') this.#make()
    const frame = this.#frames[index]
    if (frame !== undefined) return frame
    if (this.#status === 'failed') throw this.#error
    return this.#status === 'making' ? 'pending' : undefined
  }

  /** Calls back whenever there is more to know: another frame, the end, an error. */
  onProgress(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Calls back once all frames are made; at once when they are. */
  whenComplete(task: () => void): void {
    if (this.#status === 'complete') return task()
    const stop = this.onProgress(() => {
      if (this.#status !== 'complete') return
      stop()
      task()
    })
  }

  hold(): void {
    this.#holders += 1
  }

  /** When nobody holds it any more, it stops being made and its frames are gone. */
  release(): void {
    this.#holders -= 1
    if (this.#holders > 0 || this.#status === 'released') return
    this.#status = 'released'
    this.#cancel()
    this.#frames.length = 0
    this.#listeners.clear()
    this.#memory?.count(-this.#bytes)
  }

  #make(): void {
    this.#status = 'making'
    this.#cancel = startSlices(this.#work(), this.#turns, {
      done: () => this.#end('complete'),
      failed: (error) => {
        this.#error = error
        this.#end('failed')
      },
    })
  }

  *#work(): Generator<number, void, undefined> {
    for (const made of this.#source) {
      if (this.#status === 'released') return
      if (typeof made === 'number') {
        yield made
        continue
      }
      const bytes = made.bytes.byteLength
      this.#frames.push(made)
      this.#bytes += bytes
      this.#memory?.count(bytes)
      this.#tell()
      yield bytes / 1_000
    }
  }

  #end(status: 'complete' | 'failed'): void {
    if (this.#status !== 'making') return
    this.#status = status
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}

import type { Clock } from './clock.ts'

/** Work that can pause: it yields what each step cost, in microseconds and by estimate, so that every run is the same. */
export type SlicedWork<T> = Generator<number, T, undefined>

/** What may go on at a stretch. */
const sliceUsMax = 4_000

/** Turns of the event loop for work that would take long at a stretch: one task gets one, in the order of asking. */
export class Turns {
  readonly #clock: Clock
  readonly #waiting = new Set<() => void>()
  #isScheduled = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs `task` in a turn to come, unless the returned function is called before. */
  next(task: () => void): () => void {
    const waiter = (): void => task()
    this.#waiting.add(waiter)
    this.#schedule()
    return () => void this.#waiting.delete(waiter)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#clock.after(0, () => {
      this.#isScheduled = false
      const [waiter] = this.#waiting
      if (waiter === undefined) return
      this.#waiting.delete(waiter)
      if (this.#waiting.size > 0) this.#schedule()
      waiter()
    })
  }
}

/**
 * Does work in slices of a few milliseconds, with a turn for everybody else in between. What fits into one slice is done
 * when this returns. After the returned function was called, nothing more is done and nobody is told.
 */
export function startSlices<T>(
  work: SlicedWork<T>,
  turns: Turns,
  { done, failed }: { readonly done: (result: T) => void; readonly failed: (error: unknown) => void },
): () => void {
  let isCancelled = false
  let cancelTurn = (): void => undefined
  const run = (): void => {
    let result: IteratorResult<number, T>
    try {
      let spentUs = 0
      do {
        result = work.next()
        if (result.done !== true) spentUs += result.value
      } while (result.done !== true && spentUs < sliceUsMax && !isCancelled)
    } catch (error) {
      if (!isCancelled) failed(error)
      return
    }
    if (isCancelled) return
    if (result.done === true) done(result.value)
    else cancelTurn = turns.next(run)
  }
  run()
  return () => {
    isCancelled = true
    cancelTurn()
  }
}

/** The same as a promise. */
export function inSlices<T>(work: SlicedWork<T>, turns: Turns): Promise<T> {
  return new Promise((resolve, reject) => {
    startSlices(work, turns, { done: resolve, failed: reject })
  })
}

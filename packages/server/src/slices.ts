import type { Clock } from '@polyphony/core'

/** Work that can pause: it yields what each step cost, in microseconds and by estimate, so that every run is the same. */
export type SlicedWork<T> = Generator<number, T, undefined>

/** What may go on at a stretch. */
const sliceUsMax = 8_000

/** About what it costs to take in an update of so many bytes. */
export function updateCostUs(bytes: number): number {
  return 10 + bytes / 10
}

/**
 * Does work in slices of a few milliseconds, with a turn for everybody else in between. What fits into one slice is done
 * when this returns. After the returned function was called, nothing more is done and nobody is told.
 */
export function startSlices<T>(
  work: SlicedWork<T>,
  clock: Clock,
  { done, failed }: { readonly done: (result: T) => void; readonly failed: (error: unknown) => void },
): () => void {
  let isCancelled = false
  let cancelTurn = (): void => undefined
  const run = (): void => {
    try {
      for (let spentUs = 0; spentUs < sliceUsMax;) {
        const step = work.next()
        if (step.done === true) {
          done(step.value)
          return
        }
        spentUs += step.value
      }
    } catch (error) {
      failed(error)
      return
    }
    cancelTurn = clock.after(0, () => {
      if (!isCancelled) run()
    })
  }
  run()
  return () => {
    isCancelled = true
    cancelTurn()
  }
}

/** The same as a promise. */
export function inSlices<T>(work: SlicedWork<T>, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    startSlices(work, clock, { done: resolve, failed: reject })
  })
}

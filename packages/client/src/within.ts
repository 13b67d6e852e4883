import type { Clock } from '@polyphony/core'

/** Resolves with true once what `start` is given has been called, with false when that takes longer than `ms`. */
export function within(clock: Clock, ms: number, start: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(false))
    start(() => {
      cancel()
      resolve(true)
    })
  })
}

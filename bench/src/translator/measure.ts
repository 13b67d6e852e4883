/** Times of repeated runs in milliseconds. */
export interface Times {
  readonly min: number
  readonly median: number
  readonly max: number
}

export interface MeasureOptions<T> {
  readonly repeats: number
  /** Runs before the ones that count, for the just-in-time compiler and for lazy indexes. */
  readonly warmups: number
  /** Not timed: makes what `run` is given. */
  readonly prepare: (index: number) => T
  /** Timed. */
  readonly run: (input: T) => unknown
}

/** Keeps results alive, so that nothing that is timed can be optimised away. */
let sink: unknown

export function measure<T>({ repeats, warmups, prepare, run }: MeasureOptions<T>): Times {
  const times: number[] = []
  for (let i = 0; i < warmups + repeats; i++) {
    const input = prepare(i)
    const start = performance.now()
    sink = run(input)
    const elapsed = performance.now() - start
    if (i >= warmups) times.push(elapsed)
  }
  if (sink === times) throw new Error('unreachable')
  times.sort((a, b) => a - b)
  const at = (index: number): number => times[index] ?? Number.NaN
  return { min: at(0), median: at(times.length >> 1), max: at(times.length - 1) }
}

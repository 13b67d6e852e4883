import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defaultPace, idlePace, stepPace, type PaceInput, type PaceOptions } from './flush-pace.ts'

interface Run {
  readonly flushes: { readonly startedAtMs: number }[]
}

/** Drives the machine with changes at given times; a flush takes `workMs` and sends `bytes`. */
function simulate(
  changesAtMs: readonly number[],
  flush: { bytes: number; readers: number; workMs: number },
  options: PaceOptions = defaultPace,
): Run {
  let state = idlePace
  const flushes: { startedAtMs: number }[] = []
  const events: { atMs: number; input: PaceInput }[] = changesAtMs.map((atMs) => ({
    atMs,
    input: { type: 'changed' },
  }))
  for (let turn = 0; events.length > 0; turn++) {
    expect(turn).toBeLessThan(100_000)
    events.sort((a, b) => a.atMs - b.atMs)
    const next = events.shift()!
    const stepped = stepPace(state, next.input, next.atMs, options)
    state = stepped.state
    if (stepped.effect?.type === 'wake') {
      expect(stepped.effect.atMs).toBeGreaterThan(next.atMs)
      events.push({ atMs: stepped.effect.atMs, input: { type: 'timer' } })
    } else if (stepped.effect?.type === 'flush') {
      flushes.push({ startedAtMs: next.atMs })
      events.push({ atMs: next.atMs + flush.workMs, input: { type: 'flushed', ...flush } })
    }
  }
  expect(state.status).toBe('idle')
  return { flushes }
}

test('a change after a quiet time is flushed at once', () => {
  const { flushes } = simulate([1_000, 5_000, 9_000], { bytes: 100, readers: 1, workMs: 0 })
  expect(flushes.map((flush) => flush.startedAtMs)).toEqual([1_000, 5_000, 9_000])
})

test('changes that follow closely share flushes at the interval', () => {
  const changes = Array.from({ length: 1_000 }, (_, index) => 1_000 + index)
  const { flushes } = simulate(changes, { bytes: 100, readers: 1, workMs: 0 })
  expect(flushes[0]?.startedAtMs).toBe(1_000)
  expect(flushes.length).toBeLessThanOrEqual(1_000 / defaultPace.intervalMsMin + 1)
  expect(flushes.length).toBeGreaterThanOrEqual(1_000 / defaultPace.intervalMsMin - 1)
})

/** What the budget allows until the last flush begins: what has accrued, a burst in advance, and that flush itself. */
function allowed({ flushes }: Run, bytesPerSecond: number, bytes: number): number {
  return ((flushes.at(-1)!.startedAtMs + defaultPace.burstMs) / 1_000) * bytesPerSecond + bytes
}

test('a long string that changes at every keystroke stays within the bytes per second', () => {
  const changes = Array.from({ length: 1_200 }, (_, index) => index * 50)
  const run = simulate(changes, { bytes: 400_000, readers: 1, workMs: 1 })
  const bytes = run.flushes.length * 400_000
  expect(bytes).toBeLessThanOrEqual(allowed(run, defaultPace.readerBytesPerSecond, 400_000))
  expect(bytes).toBeGreaterThan(60 * defaultPace.readerBytesPerSecond * 0.9)
})

test('many readers share one budget', () => {
  const changes = Array.from({ length: 600 }, (_, index) => index * 50)
  const run = simulate(changes, { bytes: 100_000, readers: 5_000, workMs: 1 })
  const bytes = run.flushes.length * 100_000 * 5_000
  expect(bytes).toBeLessThanOrEqual(allowed(run, defaultPace.totalBytesPerSecond, 100_000 * 5_000))
  expect(run.flushes.length).toBeGreaterThan(3)
})

test('costly flushes leave most of the core to others', () => {
  const changes = Array.from({ length: 3_000 }, (_, index) => index * 10)
  const { flushes } = simulate(changes, { bytes: 10, readers: 1, workMs: 100 })
  expect(flushes.length * 100).toBeLessThanOrEqual(30_000 * defaultPace.workShare + 200)
})

test('every change is covered by a flush, and none comes too early', () => {
  const load = fc.record({
    bytes: fc.constantFrom(0, 50, 5_000, 2_000_000),
    readers: fc.integer({ min: 1, max: 2_000 }),
    workMs: fc.constantFrom(0, 1, 30),
  })
  const gaps = fc.array(fc.constantFrom(0, 1, 7, 60, 2_000), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(gaps, load, (pauses, flush) => {
      let atMs = 10_000
      const changes = pauses.map((pause) => (atMs += pause))
      const { flushes } = simulate(changes, flush)
      expect(flushes.at(-1)!.startedAtMs).toBeGreaterThanOrEqual(changes.at(-1)!)
      flushes.slice(1).forEach((next, index) => {
        const pause = next.startedAtMs - flushes[index]!.startedAtMs
        expect(pause).toBeGreaterThanOrEqual(
          Math.max(defaultPace.intervalMsMin, flush.workMs / defaultPace.workShare),
        )
      })
    }),
    { seed: 20261124, numRuns: 500 },
  )
})

import { expect, test } from 'vitest'
import { startRepair, stepRepair, type RepairInput, type RepairOptions } from './repair-schedule.ts'

const options: RepairOptions = { intervalMsMin: 1_000, bytesPerSecond: 100 }

/** Deltas at given times; every snapshot has the given size. Returns when snapshots were sent. */
function simulate(deltasAtMs: readonly number[], snapshotBytes: number): number[] {
  let state = startRepair(0, options)
  const snapshots: number[] = []
  const events: { atMs: number; input: RepairInput }[] = deltasAtMs.map((atMs) => ({
    atMs,
    input: { type: 'delta-sent' },
  }))
  const step = (atMs: number, input: RepairInput): void => {
    const stepped = stepRepair(state, input, atMs, options)
    state = stepped.state
    if (stepped.effect?.type === 'wake') events.push({ atMs: stepped.effect.atMs, input: { type: 'timer' } })
    if (stepped.effect?.type !== 'snapshot') return
    snapshots.push(atMs)
    step(atMs, { type: 'snapshot-sent', bytes: snapshotBytes })
  }
  step(0, { type: 'snapshot-sent', bytes: snapshotBytes })
  while (events.length > 0) {
    events.sort((a, b) => a.atMs - b.atMs)
    const next = events.shift()!
    step(next.atMs, next.input)
  }
  return snapshots
}

test('nothing is repeated while nothing changes', () => {
  expect(simulate([], 10)).toEqual([])
})

test('the last delta is followed by one snapshot, and then there is silence', () => {
  expect(simulate([100], 10)).toEqual([1_000])
  expect(simulate([100, 5_000], 10)).toEqual([1_000, 5_000])
})

test('under steady deltas small states are repeated at the interval, large ones within the budget', () => {
  const deltas = Array.from({ length: 1_000 }, (_, index) => index * 100)
  const small = simulate(deltas, 50)
  expect(small.length).toBeGreaterThanOrEqual(95)
  expect(small.length).toBeLessThanOrEqual(101)
  const large = simulate(deltas, 1_000)
  expect(large.length * 1_000).toBeLessThanOrEqual(100 * options.bytesPerSecond + 1_000)
  expect(large.length).toBeGreaterThanOrEqual(9)
})

import { describe, expect, test } from 'vitest'
import { systemClock } from './clock.ts'
import { inSlices, startSlices, Turns, type SlicedWork } from './slices.ts'

function* steps(count: number, costUs: number, onStep: (step: number) => void): SlicedWork<string> {
  for (let step = 0; step < count; step++) {
    onStep(step)
    yield costUs
  }
  return 'done'
}

describe('slices', () => {
  test('what is short is done at once', () => {
    let result: string | undefined
    startSlices(
      steps(3, 1_000, () => undefined),
      new Turns(systemClock),
      {
        done: (value) => (result = value),
        failed: (error) => expect.fail(String(error)),
      },
    )
    expect(result).toBe('done')
  })

  test('others get a turn between slices, and several pieces of work take turns', async () => {
    const turns = new Turns(systemClock)
    const order: string[] = []
    const work = (name: string) =>
      inSlices(
        steps(15, 1_000, (step) => step % 4 === 0 && order.push(name)),
        turns,
      )
    const both = Promise.all([work('a'), work('b')])
    expect(order).toEqual(['a', 'b'])
    expect(await both).toEqual(['done', 'done'])
    expect(order).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b'])
  })

  test('an error ends the work, wherever it happens', async () => {
    const turns = new Turns(systemClock)
    const failing = (at: number) =>
      inSlices(
        steps(100, 1_000, (step) => {
          if (step === at) throw new Error(`step ${at}`)
        }),
        turns,
      )
    await expect(failing(0)).rejects.toThrow('step 0')
    await expect(failing(50)).rejects.toThrow('step 50')
  })

  test('what is cancelled goes no further', async () => {
    const turns = new Turns(systemClock)
    let last = 0
    const cancel = startSlices(
      steps(100, 1_000, (step) => (last = step)),
      turns,
      {
        done: () => expect.fail('done'),
        failed: () => expect.fail('failed'),
      },
    )
    cancel()
    const reached = last
    await inSlices(
      steps(50, 1_000, () => undefined),
      turns,
    )
    expect(last).toBe(reached)
  })
})

import { describe, expect, test } from 'vitest'
import { Simulation, type SimulationCounts } from './simulation/simulation.ts'
import { soak } from './support/fixtures.ts'

const steps = 800
const firstSeed = Number(process.env['POLYPHONY_SEED'] ?? 1)
const seedCount = process.env['POLYPHONY_SEED'] === undefined ? (soak ? 2_000 : 60) : 1

async function simulate(seed: number): Promise<SimulationCounts> {
  try {
    return await new Simulation({ seed, steps }).run()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`Seed ${seed} (run it alone with POLYPHONY_SEED=${seed}): ${reason}`, { cause })
  }
}

describe('simulation of clients, a server that crashes and a store that fails', () => {
  test(`${seedCount} seeds keep every promise`, { timeout: 3_600_000 }, async () => {
    const total = new Map<string, number>()
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
      for (const [name, count] of Object.entries(await simulate(seed)))
        total.set(name, (total.get(name) ?? 0) + count)
    }
    // Everything that can happen has happened, unless a single seed was asked for.
    if (seedCount > 1) for (const [name, count] of total) expect(count, name).toBeGreaterThan(0)
    if (seedCount > 1) expect(total.get('entries')).toBeGreaterThan(seedCount * 20)
  })

  test('one seed gives one run', async () => {
    expect(await simulate(firstSeed)).toEqual(await simulate(firstSeed))
  })
})

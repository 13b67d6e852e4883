import { describe, expect, test } from 'vitest'
import { Simulation, type SimulationCounts } from './simulation/simulation.ts'
import { soak } from './support/fixtures.ts'

const steps = 600
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
    const total: Partial<Record<string, number>> = {}
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
      for (const [name, count] of Object.entries(await simulate(seed)))
        total[name] = (total[name] ?? 0) + count
    }
    if (process.env['POLYPHONY_SEED'] === undefined)
      for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(0)
    console.log(total)
  })

  test('one seed gives one run', async () => {
    expect(await simulate(firstSeed)).toEqual(await simulate(firstSeed))
  })
})

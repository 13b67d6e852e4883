import { startRedis, type RedisService } from '@polyphony/test-services'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { polyphony } from '../src/contender.ts'
import { runExperiment } from '../src/experiment.ts'
import { isWhole } from '../src/report.ts'

let redis: RedisService
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

test('the same on Redis', async () => {
  const contender = polyphony(redis.url)
  const last = await runExperiment({ contender, rounds: 2, authors: 4, documents: 2, seed: 1, name: 'test' })
  expect(last.acknowledged.there).toBeGreaterThan(40)
  expect(isWhole(last)).toBe(true)
}, 120_000)

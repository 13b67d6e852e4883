import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startRedis, type RedisService } from '@polyphony/test-services'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isWhole, runStory } from '../src/story.ts'

let redis: RedisService
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

test('services on two nodes lose nothing and do nothing twice, when one node is killed and comes back', async () => {
  const lines: string[] = []
  const outcome = await runStory({ redis: redis.url, orders: 60, say: (line) => lines.push(line) })
  expect(outcome).toMatchObject({
    placed: 60,
    packed: 60,
    packedTwice: 0,
    missing: 0,
    stockError: 0,
    differing: [],
  })
  expect(isWhole(outcome)).toBe(true)
  expect(lines.join('\n')).toMatch(/kill -9 of A at \d+ orders[\s\S]*A is back/)
  // The watcher of the node that was killed went on at the other one, without a new snapshot.
  expect(outcome.resumed).toBeGreaterThan(0)
}, 120_000)

test('is a program, too, and says what is wrong', () => {
  const program = fileURLToPath(new URL('../dist/distributed.js', import.meta.url))
  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', env: { ...process.env, ...env } })
  const done = run(['--orders', '20'], { REDIS_URL: redis.url })
  expect(done.stdout).toContain('Nothing was lost, nothing was done twice, and all see the same.')
  expect(done).toMatchObject({ status: 0, stderr: '' })
  expect(run(['--orders', '1'])).toMatchObject({ status: 2, stdout: '' })
  expect(run(['--redis', 'localhost']).stderr).toContain('--redis is an address')
  const away = run(['--redis', 'redis://127.0.0.1:1'])
  expect(away.status).toBe(1)
  expect(away.stderr).toMatch(/^distributed: A node does not start: .*Redis/)
}, 120_000)

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { polyphony, stockServer, type Contender } from '../src/contender.ts'
import { runExperiment, type Round } from '../src/experiment.ts'
import { isWhole } from '../src/report.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'polyphony-recovery-test-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const experiment = (contender: Contender, rounds: number): Promise<Round> =>
  runExperiment({ contender, rounds, authors: 4, documents: 2, seed: 20_261_125, name: 'test' })

test('everything that was acknowledged survives every kill, once, and those who stayed bring the rest', async () => {
  const last = await experiment(polyphony(`level:${join(folder, 'data')}`), 3)
  expect(last).toMatchObject({ round: 3, acknowledged: { lost: 0, twice: 0 }, stayed: { lost: 0, twice: 0 } })
  expect(last.acknowledged.there).toBeGreaterThan(60)
  expect(last.stayed.there).toBeGreaterThan(20)
  expect(isWhole(last)).toBe(true)
}, 120_000)

test('without fsync a kill takes nothing either', async () => {
  const last = await experiment(polyphony(`level:${join(folder, 'data')}`, ['--fsync', 'off']), 1)
  expect(isWhole(last)).toBe(true)
}, 120_000)

test.each([polyphony('memory:'), stockServer()])(
  'it would notice a loss: $title keeps nothing',
  async (contender) => {
    const last = await experiment(contender, 1)
    expect(last.acknowledged.expected).toBeGreaterThan(20)
    expect(last.acknowledged.lost).toBe(last.acknowledged.expected)
    expect(last.stayed.lost).toBe(0)
    expect(isWhole(last)).toBe(false)
  },
  120_000,
)

test('is a program, too', () => {
  const program = fileURLToPath(new URL('../dist/recovery.js', import.meta.url))
  const run = (...args: string[]) => spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
  const kept = run('--rounds', '1', '--authors', '2', '--documents', '1', '--seed', '1')
  expect(kept.stdout).toContain('seed 1')
  expect(kept.stdout).toContain('Everything that was acknowledged is there, once.')
  expect(kept).toMatchObject({ status: 0, stderr: '' })
  expect(run('--rounds', '1', '--authors', '2', '--store', 'memory:').status).toBe(1)
  expect(run('--rounds', 'x')).toMatchObject({ status: 2, stdout: '' })
  expect(run('--store', 'disk:x', '--rounds', '1').stderr).toMatch(
    /^recovery: .* does not start: .*not a store/,
  )
}, 120_000)

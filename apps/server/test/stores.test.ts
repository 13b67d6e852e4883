import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { expectKeptThroughKill } from './support/kept.ts'

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'polyphony-stores-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('an encrypted, compressed store keeps everything, and shows nothing to who reads its files', async () => {
  const ring = join(directory, 'ring')
  const made = spawnSync(process.execPath, [cli, 'keys', 'generate', 'first', '--append', ring])
  expect(made.status).toBe(0)
  const data = join(directory, 'data')
  await expectKeptThroughKill(['--store', `level:${data}`, '--compress', 'on', '--encryption-keys', ring])
  const files = readdirSync(data).map((name) => readFileSync(join(data, name)))
  expect(files.some((bytes) => bytes.includes('kept'))).toBe(true)
  expect(files.some((bytes) => bytes.includes('confidential'))).toBe(false)
  const forgotten = spawnSync(process.execPath, [cli, 'serve', '--port', '0', '--store', `level:${data}`], {
    encoding: 'utf8',
  })
  expect(forgotten.status).toBe(1)
  expect(forgotten.stderr).toMatch(
    /^polyphony: The store level:.* was written with other settings: .*--encryption-keys.*\n$/,
  )
})

test('a key ring may come in an environment variable, which nobody is shown', async () => {
  const data = join(directory, 'data')
  const generate = (): string =>
    spawnSync(process.execPath, [cli, 'keys', 'generate', 'first'], { encoding: 'utf8' }).stdout.trim()
  const [key, other] = [generate(), generate()]
  const args = ['--store', `level:${data}`, '--encryption-keys', 'env:MY_KEYS']
  await expectKeptThroughKill(args, { MY_KEYS: `${key},${other.replace('first', 'second')}` })
  const files = readdirSync(data).map((name) => readFileSync(join(data, name)))
  expect(files.some((bytes) => bytes.includes('confidential'))).toBe(false)
  for (const [keys, reason] of [
    [undefined, /key ring env:MY_KEYS cannot be used: A key ring has at least one line/],
    [`${key},${other}`, /key ring env:MY_KEYS cannot be used: A key id appears twice/],
    [other, /was written with other settings/],
  ] as const) {
    const env = { ...process.env, ...(keys === undefined ? {} : { MY_KEYS: keys }) }
    const run = spawnSync(process.execPath, [cli, 'serve', '--port', '0', ...args], { encoding: 'utf8', env })
    expect(run.status).toBe(1)
    expect(run.stderr).toMatch(reason)
    expect(run.stderr).not.toContain(other.slice(6))
  }
})

test('a key ring that cannot be read ends the start with a line', () => {
  const ring = join(directory, 'ring')
  writeFileSync(ring, 'not a ring')
  const run = spawnSync(
    process.execPath,
    [cli, 'serve', '--port', '0', '--store', `level:${join(directory, 'data')}`, '--encryption-keys', ring],
    { encoding: 'utf8' },
  )
  expect(run.status).toBe(1)
  expect(run.stderr).toMatch(/^polyphony: .*key ring/)
  expect(run.stderr.trim().split('\n')).toHaveLength(1)
})

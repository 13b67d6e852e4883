// @ts-check
// The test command: `pnpm test [--embedded] [--soak] [-- arguments for vitest]`. It stops at the first step that fails
// and closes with a line `N passed, N failed`.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findChromium } from './chromium.mjs'
import { installChromium } from './install-chromium.mjs'
import { installServices } from './install-services.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
/** What needs something beyond npm says so in its name; `--embedded` leaves these out. */
const outsideTests = ['**/*.browser.test.ts', '**/*.redis.test.ts', '**/*.pg.test.ts']
const usage = `Usage: pnpm test [--embedded] [--soak] [-- arguments for vitest]

  --embedded   only what needs neither Chromium nor Redis nor PostgreSQL
  --soak       also the long tier (POLYPHONY_SOAK=1)`

process.exitCode = await main(process.argv.slice(2))

/** @param {string[]} args */
async function main(args) {
  const options = parse(args)
  if (options === undefined) return 2
  /** @type {Record<string, string | undefined>} */
  const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' }
  env['PATH'] = [join(root, 'node_modules', '.bin'), env['PATH'] ?? ''].join(delimiter)
  if (options.soak) env['POLYPHONY_SOAK'] = '1'

  /** @type {[string, () => Promise<boolean>][]} */
  const steps = [
    ['needs', async () => options.embedded || (provideChromium(env) && provideServices())],
    ['build', () => run(env, 'turbo', 'run', 'build', '--output-logs=errors-only')],
    ['types', () => run(env, 'tsc', '-p', 'tsconfig.json')],
    ['lint', () => run(env, 'oxlint', '--type-aware', '--deny-warnings')],
    ['format', () => run(env, 'oxfmt', '--check', '.')],
  ]
  for (const [name, step] of steps) {
    if (await timed(name, step)) continue
    console.log(`\nThe step "${name}" failed; no test was run.\n0 passed, 1 failed`)
    return 1
  }

  const counts = { passed: 0, failed: 0, skipped: 0 }
  const ok = await timed('tests', () => vitest(env, options, counts))
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  console.log(`\n${counts.passed} passed, ${counts.failed} failed${skipped}`)
  return ok ? 0 : 1
}

/** @param {string[]} args */
function parse(args) {
  const options = { embedded: false, soak: false, vitest: /** @type {string[]} */ ([]) }
  for (const [at, argument] of args.entries()) {
    if (argument === '--') {
      options.vitest = args.slice(at + 1)
      break
    }
    if (argument === '--embedded') options.embedded = true
    else if (argument === '--soak') options.soak = true
    else {
      console.error(`Unknown argument "${argument}".\n\n${usage}`)
      return undefined
    }
  }
  return options
}

/** @param {Record<string, string | undefined>} env */
function provideChromium(env) {
  let path = findChromium()
  const problem = path === undefined ? installChromium() : undefined
  path ??= findChromium()
  if (path === undefined) {
    console.error(
      `The browser tests need Chromium and ${problem ?? 'it was not found'}: install Chromium or Chrome ` +
        '(Debian: sudo apt-get install chromium), or set POLYPHONY_CHROMIUM to its path, or run pnpm test:embedded.',
    )
    return false
  }
  env['POLYPHONY_CHROMIUM'] = path
  console.log(path)
  return true
}

function provideServices() {
  const problem = installServices()
  if (problem !== undefined) console.error(`${problem} Or run pnpm test:embedded.`)
  return problem === undefined
}

/**
 * @param {Record<string, string | undefined>} env
 * @param {{ embedded: boolean, vitest: string[] }} options
 * @param {{ passed: number, failed: number, skipped: number }} counts
 */
async function vitest(env, options, counts) {
  const folder = mkdtempSync(join(tmpdir(), 'polyphony-test-'))
  const report = join(folder, 'report.json')
  const excludes = options.embedded ? outsideTests.map((pattern) => `--exclude=${pattern}`) : []
  try {
    const ok = await run(
      env,
      'vitest',
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...excludes,
      ...options.vitest,
    )
    const summary = JSON.parse(readFileSync(report, 'utf8'))
    counts.passed = summary.numPassedTests
    counts.skipped = summary.numPendingTests + summary.numTodoTests
    // A file that breaks before its first test, or an error outside of any test, must not look like success.
    const brokenFiles = summary.testResults.filter(
      (/** @type {{ status: string, assertionResults: unknown[] }} */ file) =>
        file.status === 'failed' && file.assertionResults.length === 0,
    ).length
    counts.failed = Math.max(summary.numFailedTests + brokenFiles, ok ? 0 : 1)
    return ok && counts.failed === 0
  } catch (error) {
    console.error(`vitest left no report: ${error instanceof Error ? error.message : String(error)}`)
    counts.failed = 1
    return false
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * @param {string} name
 * @param {() => Promise<boolean>} step
 */
async function timed(name, step) {
  console.log(`── ${name}`)
  const start = performance.now()
  const ok = await step()
  console.log(`── ${name} ${ok ? 'ok' : 'failed'} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  return ok
}

/**
 * Runs a tool of the repository; its output goes to ours, its input is closed.
 * @param {Record<string, string | undefined>} env
 * @param {string} command
 * @param {string[]} args
 * @returns {Promise<boolean>} whether it exited with 0.
 */
function run(env, command, ...args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: process.platform === 'win32',
    })
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`)
      resolve(false)
    })
    child.on('exit', (code) => resolve(code === 0))
  })
}

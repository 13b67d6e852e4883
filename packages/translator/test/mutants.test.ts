import { spawnSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { mutants, type Mutant } from './oracle/mutants.ts'
import { soak } from './oracle/runs.ts'

const home = fileURLToPath(new URL('..', import.meta.url))
const repository = join(home, '../..')

/** The random tests alone have to find them; those of single cases would be too easy. */
const fuzz = [
  'out.test.ts',
  'in.test.ts',
  'anchored.test.ts',
  'three-way.test.ts',
  'versions.test.ts',
  'lines.test.ts',
  'long-lists.test.ts',
]

// What the tests are worth: each of these errors, put into a copy of the engine, must make them fail.
describe.runIf(soak)('an error in the engine is found', () => {
  it('but without one the copy passes', { timeout: 600_000 }, () => {
    const { status, output } = runTests(undefined)
    expect(status, output).toBe(0)
  })

  it.each(mutants)('$what', { timeout: 600_000 }, (mutant) => {
    const { status, output } = runTests(mutant)
    expect(status, output).toBe(1)
    // A test that fails, not a copy that cannot be loaded.
    expect(output).toMatch(/Tests .*\d+ failed/)
    expect(output).not.toMatch(/Failed Suites|Cannot find|Transform failed/)
  })
})

it('the list of errors is up to date with the engine', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(10)
  for (const mutant of mutants) expect(readMutated(join(home, 'src'), mutant)).not.toBe('')
})

function readMutated(source: string, { file, find, replace }: Mutant): string {
  const text = readFileSync(join(source, file), 'utf8')
  if (text.split(find).length !== 2) throw new Error(`"${find}" is not exactly once in ${file}`)
  return text.replace(find, () => replace)
}

function runTests(mutant: Mutant | undefined): { status: number | null; output: string } {
  const place = mkdtempSync(join(tmpdir(), 'translator-mutant-'))
  try {
    for (const folder of ['src', 'test']) cpSync(join(home, folder), join(place, folder), { recursive: true })
    for (const file of readdirSync(join(place, 'test')))
      if (file.endsWith('.test.ts') && !fuzz.includes(file)) rmSync(join(place, 'test', file))
    if (mutant !== undefined)
      writeFileSync(join(place, 'src', mutant.file), readMutated(join(place, 'src'), mutant))
    linkModules(join(place, 'node_modules'))
    cpSync(join(home, 'package.json'), join(place, 'package.json'))
    writeFileSync(
      join(place, 'vitest.config.ts'),
      `import base from ${JSON.stringify(join(repository, 'vitest.config.ts'))}
       export default { ...base, test: { ...base.test, include: ['test/*.test.ts'] } }`,
    )
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(repository, 'node_modules/vitest/vitest.mjs'), 'run', '--root', place, '--bail', '1'],
      { encoding: 'utf8', env: { ...process.env, POLYPHONY_SOAK: '0', CI: '1', VITEST: undefined } },
    )
    return { status, output: `${stdout}\n${stderr}` }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** The packages that the translator and its tests import, as links into the installed ones. */
function linkModules(target: string): void {
  for (const modules of [join(home, 'node_modules'), join(repository, 'node_modules')])
    for (const name of readdirSync(modules)) {
      if (name.startsWith('.')) continue
      const inner = name.startsWith('@')
        ? readdirSync(join(modules, name)).map((part) => `${name}/${part}`)
        : [name]
      for (const each of inner) {
        mkdirSync(dirname(join(target, each)), { recursive: true })
        try {
          symlinkSync(join(modules, each), join(target, each))
        } catch (error) {
          // Both folders have it: the first one counts.
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        }
      }
    }
}

import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import * as translator from '../src/index.ts'

// The first program of a page is run as it stands there: every line that ends in a comment with JSON must give that.
describe.each(['README.md', '../../docs/translator.md'])('%s', (file) => {
  it('shows what happens', () => {
    const page = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
    const program = /```ts\n(import[\s\S]*?)```/.exec(page)?.[1]
    if (program === undefined) throw new Error(`${file} has no program`)
    const checked = program
      .replaceAll(/^import .*$/gm, '')
      .replaceAll(
        /^(view\..*?)\s+\/\/ ([[{].*)$/gm,
        (_, call: string, value: string) => `show(${call}, ${value})`,
      )
    const shown: [unknown, unknown][] = []
    // The page leaves out the casts of Yjs' untyped values, so only the syntax of types is taken away.
    const { outputText } = ts.transpileModule(checked, {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.None },
    })
    // oxlint-disable-next-line typescript/no-implied-eval -- what is run is the program of our own page
    const run = new Function('Y', 'show', ...Object.keys(translator), outputText) as (
      ...names: unknown[]
    ) => void
    run(
      Y,
      (actual: unknown, expected: unknown) => shown.push([actual, expected]),
      ...Object.values(translator),
    )
    expect(shown.length).toBeGreaterThan(1)
    for (const [actual, expected] of shown) expect(actual).toEqual(expected)
  })
})

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { errorTable, limitTable } from '@polyphony/core'
import { createMetrics, metricSpecs } from '@polyphony/server'
import { findBinary } from '@polyphony/test-services'
import { describe, expect, it } from 'vitest'

const folder = new URL('../../../ops/prometheus/', import.meta.url)
const rules = readFileSync(new URL('alerts.yml', folder), 'utf8')
const ruleTests = readFileSync(new URL('alerts.test.yml', folder), 'utf8')
const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name)
const expressions = [...rules.matchAll(/^ +expr: (?:>-\n((?: {10}.+\n)+)|(.+)\n)/gm)].map(
  ([, folded = '', plain = '']) => folded + plain,
)
/** Words of PromQL that the rules use; whatever else stands in an expression is the name of a metric. */
const words = new Set(
  'sum max by on and or unless offset increase rate deriv histogram_quantile vector'.split(' '),
)
/** Made by Prometheus itself. */
const foreign = ['up']

describe('the alert rules', () => {
  it('use only metrics that the server has, with labels that they have', async () => {
    const { body } = await createMetrics().render()
    const ofProcess = [...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name)
    const known = new Set([...foreign, ...ofProcess])
    const used = new Set<string>()
    for (const expression of expressions) {
      for (const [, name = '', matchers = ''] of names(expression)) {
        const base = name.replace(/_(bucket|sum|count)$/, '')
        used.add(base)
        expect(known, expression).toContain(base)
        const labels = [...matchers.matchAll(/(\w+)=/g)].map(([, label]) => label)
        for (const label of labels)
          expect(['job', ...(metricSpecs[base]?.labels ?? [])], expression).toContain(label)
      }
    }
    expect(expressions).toHaveLength(alerts.length)
    expect(used.size).toBeGreaterThan(8)
  })

  it('name only error codes and limits that exist', () => {
    const codes = [...rules.matchAll(/code="([^"]+)"/g)].map(([, code = '']) => code)
    expect(codes).toContain('store-corrupt')
    for (const code of codes) expect(Object.keys(errorTable)).toContain(code)
    for (const [name] of rules.matchAll(/\b[a-z]+[A-Z]\w*(?:Max|Ms)\b/g))
      expect(Object.keys(limitTable)).toContain(name)
    const ofLimits = [...rules.matchAll(/polyphony_limit\{job="polyphony", name="(\w+)"\}/g)]
    expect(ofLimits.length).toBeGreaterThan(1)
    for (const [, name = ''] of ofLimits) expect(Object.keys(limitTable)).toContain(name)
  })

  it('are all made to fire, and not to fire, by a rule test', () => {
    expect(new Set(alerts).size).toBe(alerts.length)
    for (const alert of alerts) expect(ruleTests).toContain(`alertname="${alert}"`)
  })

  const promtool = findBinary('promtool')
  it.skipIf(promtool === undefined)(
    promtool === undefined
      ? 'pass promtool (skipped: it is not installed; Debian and Ubuntu have it in the package prometheus)'
      : 'pass promtool',
    async () => {
      const run = (command: string, file: string) =>
        promisify(execFile)(promtool ?? '', [command, 'rules', file], { cwd: fileURLToPath(folder) })
      const checked = await run('check', 'alerts.yml')
      expect(checked.stdout + checked.stderr).toContain(`${alerts.length} rules found`)
      const tested = await run('test', 'alerts.test.yml')
      expect(tested.stdout + tested.stderr).toContain('SUCCESS')
    },
  )
})

/** The metrics of an expression with what is between their braces. */
function names(expression: string): readonly (readonly (string | undefined)[])[] {
  const plain = expression.replace(/\b(by|on) \([^)]*\)/g, '$1').replace(/\[\w+\]|\b\d[\w.]*/g, '')
  return [...plain.matchAll(/([a-zA-Z_]\w*)(?:\{([^}]*)\})?/g)].filter(([, name = '']) => !words.has(name))
}

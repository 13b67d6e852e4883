import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { metricSpecs } from './metric-table.ts'
import { createMetrics } from './metrics.ts'

test('what is counted, observed and moved shows', async () => {
  const { telemetry, render } = createMetrics({ process: false })
  telemetry.count('polyphony_errors_total', 2, { face: 'http', code: 'conflict' })
  telemetry.gauge('polyphony_rooms', 3)
  telemetry.gauge('polyphony_rooms', -1)
  telemetry.observe('polyphony_commit_duration_ms', 7)
  const { body, contentType } = await render()
  expect(contentType).toContain('text/plain')
  expect(body).toContain('polyphony_errors_total{face="http",code="conflict"} 2')
  expect(body).toContain('polyphony_rooms 2')
  expect(body).toContain('polyphony_commit_duration_ms_bucket{le="10"} 1')
  for (const name of Object.keys(metricSpecs)) expect(body).toContain(`# HELP ${name} `)
})

test('an unknown name is logged once and dropped', () => {
  const warnings: unknown[] = []
  const silent = (): void => undefined
  const logger = {
    debug: silent,
    info: silent,
    error: silent,
    warn: (fields: unknown) => void warnings.push(fields),
  }
  const { telemetry } = createMetrics({ logger, process: false })
  telemetry.count('polyphony_nothing')
  telemetry.count('polyphony_nothing')
  expect(warnings).toEqual([{ metric: 'polyphony_nothing' }])
})

test('every metric that the sources name is in the table, and the other way round', () => {
  const used = new Set<string>()
  const roots = ['./', '../../ag-ui/src/', '../../storage/src/'].map((path) => new URL(path, import.meta.url))
  for (const root of roots) {
    for (const file of readdirSync(root)) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts') || file === 'metric-table.ts') continue
      for (const [name] of readFileSync(new URL(file, root), 'utf8').matchAll(/polyphony_[a-z_]+/g))
        used.add(name)
    }
  }
  expect([...used].toSorted()).toEqual(Object.keys(metricSpecs).toSorted())
})

import { silentLogger, type Logger, type Telemetry } from '@polyphony/core'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { metricSpecs } from './metric-table.ts'

export interface Metrics {
  /** Where the parts of the server report to. */
  readonly telemetry: Telemetry
  /** The text that Prometheus reads, and its content type. */
  readonly render: () => Promise<{ readonly contentType: string; readonly body: string }>
}

export interface MetricsOptions {
  readonly logger?: Logger | undefined
  /** Also CPU, memory, garbage collection and event loop lag of the process. Default true. */
  readonly process?: boolean | undefined
}

/** Measurements for Prometheus, in a registry of their own. A name that is not in `metricTable` is logged and dropped. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry()
  const logger = options.logger ?? silentLogger
  const counters = new Map<string, Counter>()
  const gauges = new Map<string, Gauge>()
  const histograms = new Map<string, Histogram>()
  for (const [name, spec] of Object.entries(metricSpecs)) {
    const common = { name, help: spec.help, labelNames: [...spec.labels], registers: [registry] }
    if (spec.type === 'counter') counters.set(name, new Counter(common))
    else if (spec.type === 'gauge') gauges.set(name, new Gauge(common))
    else histograms.set(name, new Histogram({ ...common, buckets: [...(spec.buckets ?? [])] }))
  }
  if (options.process ?? true) collectDefaultMetrics({ register: registry })

  const reported = new Set<string>()
  const unknown = (name: string): void => {
    if (reported.has(name)) return
    reported.add(name)
    logger.warn({ metric: name }, 'a metric that is not in the table was dropped')
  }
  return {
    telemetry: {
      count(name, value = 1, labels = {}) {
        const counter = counters.get(name)
        if (counter === undefined) unknown(name)
        else counter.inc(labels, value)
      },
      observe(name, value, labels = {}) {
        const histogram = histograms.get(name)
        if (histogram === undefined) unknown(name)
        else histogram.observe(labels, value)
      },
      gauge(name, delta, labels = {}) {
        const gauge = gauges.get(name)
        if (gauge === undefined) unknown(name)
        else gauge.inc(labels, delta)
      },
    },
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
  }
}

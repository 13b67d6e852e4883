import { SpanStatusCode, type Span, type Tracer } from '@opentelemetry/api'
import { systemClock } from '@polyphony/core'
import { expect, it } from 'vitest'
import { RecordingTelemetry } from '../test/support/recording-telemetry.ts'
import { MemoryStore, observed } from './index.ts'
import { appendTo, collect, readAll, sampleBytes, sampleCheckpoint, sampleEntry } from './testing/index.ts'

/** Spans as far as the wrapper uses them. */
function recordingTracer() {
  const spans: { name: string; ended: boolean; failed: boolean; attributes: unknown }[] = []
  const tracer = {
    startSpan: (name: string, options?: { attributes?: unknown }) => {
      const record = { name, ended: false, failed: false, attributes: options?.attributes }
      spans.push(record)
      const span = {
        recordException: () => undefined,
        setStatus: ({ code }: { code: SpanStatusCode }) => {
          record.failed = code === SpanStatusCode.ERROR
        },
        end: () => {
          record.ended = true
        },
      }
      return span as unknown as Span
    },
  } as unknown as Tracer
  return { tracer, spans }
}

it('observed: counts, times and traces each operation, with its outcome', async () => {
  const telemetry = new RecordingTelemetry()
  const { tracer, spans } = recordingTracer()
  const store = observed(new MemoryStore(), { telemetry, clock: systemClock, tracer })
  await appendTo(store, 'doc', [sampleEntry(sampleBytes(70)), sampleEntry(sampleBytes(30))])
  await store.append([{ documentId: 'doc', entries: [sampleEntry('x')], expect: 9 }])
  await store.checkpoint('doc', sampleCheckpoint(1, sampleBytes(500)))
  await readAll(store, 'doc')
  await collect(store.list())
  await store.delete('doc')
  await expect(store.checkpoint('doc', sampleCheckpoint(1, sampleBytes(5)))).rejects.toThrow()
  for await (const _info of store.list({ deleted: true })) break
  await store.close()

  const calls = telemetry.counts.filter(({ name }) => name === 'polyphony_store_calls_total')
  expect(calls.map(({ labels }) => `${labels['operation']} ${labels['outcome']}`)).toEqual([
    'append ok',
    'append ok',
    'checkpoint ok',
    'read ok',
    'list ok',
    'delete ok',
    'checkpoint document-deleted',
    'list ok',
  ])
  expect(telemetry.counts).toContainEqual({
    name: 'polyphony_store_refusals_total',
    value: 1,
    labels: { code: 'precondition-failed' },
  })
  const bytes = telemetry.observations.filter(({ name }) => name === 'polyphony_store_bytes')
  expect(bytes.map(({ value, labels }) => [labels['operation'], value])).toEqual([
    ['append', 100],
    ['append', 1],
    ['checkpoint', 500],
    ['read', 530],
  ])
  const durations = telemetry.observations.filter(({ name }) => name === 'polyphony_store_duration_ms')
  expect(durations.length).toBe(calls.length)
  expect(spans.every(({ ended }) => ended)).toBe(true)
  expect(spans.filter(({ failed }) => failed).map(({ name }) => name)).toEqual(['polyphony.store.checkpoint'])
  expect(spans[0]).toMatchObject({ name: 'polyphony.store.append', attributes: { 'polyphony.documents': 1 } })
})

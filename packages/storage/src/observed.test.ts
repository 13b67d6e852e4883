import { context, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { systemClock } from '@polyphony/core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { RecordingTelemetry } from '../test/support/recording-telemetry.ts'
import { MemoryStore, observed } from './index.ts'
import { appendTo, collect, readAll, sampleBytes, sampleCheckpoint, sampleEntry } from './testing/index.ts'

// The SDK is registered as an application does it; the wrapper is told nothing of it.
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
beforeAll(() => {
  trace.setGlobalTracerProvider(provider)
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
})
beforeEach(() => exporter.reset())
afterAll(async () => {
  trace.disable()
  context.disable()
  await provider.shutdown()
})

it('observed: counts, times and traces each operation, with its outcome', async () => {
  const telemetry = new RecordingTelemetry()
  const store = observed(new MemoryStore(), { telemetry, clock: systemClock })
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
  // The exporter has only spans that were ended.
  const spans = exporter.getFinishedSpans()
  expect(spans.map(({ name }) => name)).toEqual(
    calls.map(({ labels }) => `polyphony.store.${labels['operation']}`),
  )
  expect(spans.map(({ attributes }) => attributes)).toEqual([
    { 'polyphony.documents': 1 },
    { 'polyphony.documents': 1 },
    { 'polyphony.document': 'doc' },
    { 'polyphony.document': 'doc' },
    {},
    { 'polyphony.document': 'doc' },
    { 'polyphony.document': 'doc' },
    {},
  ])
  const [failed, ...others] = spans.filter(({ status }) => status.code === SpanStatusCode.ERROR)
  expect(others).toEqual([])
  expect(failed).toMatchObject({
    name: 'polyphony.store.checkpoint',
    status: { message: 'document-deleted' },
    events: [{ name: 'exception' }],
  })
})

it('observed: a call is part of what asks for it, and what it asks for is part of the call', async () => {
  const tracer = trace.getTracer('test')
  const inside = observed(new MemoryStore(), { telemetry: new RecordingTelemetry(), clock: systemClock })
  const outside = observed(inside, { telemetry: new RecordingTelemetry(), clock: systemClock })
  await tracer.startActiveSpan('request', async (span) => {
    await appendTo(outside, 'doc', [sampleEntry('x')])
    await readAll(outside, 'doc')
    span.end()
  })
  await outside.close()
  const spans = exporter.getFinishedSpans()
  const nameOf = (spanId: string | undefined) =>
    spans.find((span) => span.spanContext().spanId === spanId)?.name
  expect(spans.map(({ name, parentSpanContext }) => [name, nameOf(parentSpanContext?.spanId)])).toEqual([
    ['polyphony.store.append', 'polyphony.store.append'],
    ['polyphony.store.append', 'request'],
    ['polyphony.store.read', 'polyphony.store.read'],
    ['polyphony.store.read', 'request'],
    ['request', undefined],
  ])
})

import { context, SpanStatusCode, trace, type Span, type Tracer } from '@opentelemetry/api'
import { toPolyphonyError, type Clock, type PolyphonyError, type Telemetry } from '@polyphony/core'
import type {
  Append,
  AppendResult,
  Checkpoint,
  DocumentInfo,
  DocumentStore,
  Head,
  HeadCondition,
  ListQuery,
  LogEntry,
  ReadRange,
  Unsubscribe,
} from './document-store.ts'
import { isCheckpoint } from './document-store.ts'
import { StoreWrapper, type Subscribe, type SubscribeCall } from './store-wrapper.ts'

export interface ObservedOptions {
  readonly telemetry: Telemetry
  readonly clock: Clock
  /** Default: the OpenTelemetry API's, which does nothing until an SDK is registered. */
  readonly tracer?: Tracer | undefined
}

/**
 * Measures a store and traces it: per operation `polyphony_store_duration_ms` and `polyphony_store_calls_total` with the
 * outcome (`ok` or an error code), bytes in `polyphony_store_bytes` (histogram, by direction), refused documents of a batch
 * in `polyphony_store_refusals_total`, and one span `polyphony.store.<operation>`. Content and ids of documents go into
 * spans only, never into labels.
 */
export function observed(store: DocumentStore, options: ObservedOptions): DocumentStore {
  return new ObservedStore(store, options)
}

class ObservedStore extends StoreWrapper {
  readonly #telemetry: Telemetry
  readonly #clock: Clock
  readonly #tracer: Tracer

  constructor(inner: DocumentStore, { telemetry, clock, tracer }: ObservedOptions) {
    super(inner, 'observed')
    this.#telemetry = telemetry
    this.#clock = clock
    this.#tracer = tracer ?? trace.getTracer('@polyphony/storage')
  }

  override async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    const call = this.#begin('append', { 'polyphony.documents': batch.length })
    const results = await call.run(() => super.append(batch))
    const bytes = batch.reduce(
      (sum, { entries }) => entries.reduce((more, { update }) => more + update.length, sum),
      0,
    )
    this.#telemetry.observe('polyphony_store_bytes', bytes, { operation: 'append' })
    for (const result of results) {
      if (!result.ok) this.#telemetry.count('polyphony_store_refusals_total', 1, { code: result.error.code })
    }
    return results
  }

  override async *read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    const call = this.#begin('read', { 'polyphony.document': documentId })
    let bytes = 0
    const count = (chunk: Uint8Array): void => {
      bytes += chunk.length
    }
    try {
      for await (const item of call.iterate(super.read(documentId, range))) {
        if (!isCheckpoint(item)) count(item.update)
        yield isCheckpoint(item) ? { ...item, state: counted(item.state, count) } : item
      }
    } finally {
      this.#telemetry.observe('polyphony_store_bytes', bytes, { operation: 'read' })
    }
  }

  override async checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    let bytes = 0
    const state = counted(checkpoint.state, (chunk) => {
      bytes += chunk.length
    })
    const call = this.#begin('checkpoint', { 'polyphony.document': documentId })
    await call.run(() => super.checkpoint(documentId, { ...checkpoint, state }))
    this.#telemetry.observe('polyphony_store_bytes', bytes, { operation: 'checkpoint' })
  }

  override head(documentId: string): Promise<Head | undefined> {
    return this.#begin('head', { 'polyphony.document': documentId }).run(() => super.head(documentId))
  }

  override async *list(query?: ListQuery): AsyncIterable<DocumentInfo> {
    yield* this.#begin('list', {}).iterate(super.list(query))
  }

  override create(documentId: string): Promise<Head> {
    return this.#begin('create', { 'polyphony.document': documentId }).run(() => super.create(documentId))
  }

  override delete(documentId: string, condition?: HeadCondition): Promise<void> {
    const call = this.#begin('delete', { 'polyphony.document': documentId })
    return call.run(() => super.delete(documentId, condition))
  }

  protected override follow(subscribe: Subscribe, call: SubscribeCall): Promise<Unsubscribe> {
    return this.#begin('subscribe', { 'polyphony.document': call.documentId }).run(() =>
      super.follow(subscribe, call),
    )
  }

  #begin(operation: string, attributes: Record<string, string | number>): ObservedCall {
    const span = this.#tracer.startSpan(`polyphony.store.${operation}`, { attributes })
    return new ObservedCall(span, operation, this.#telemetry, this.#clock)
  }
}

/** One call of an operation, from its beginning to its outcome. */
class ObservedCall {
  readonly #span: Span
  readonly #operation: string
  readonly #telemetry: Telemetry
  readonly #clock: Clock
  readonly #startedAtMs: number

  constructor(span: Span, operation: string, telemetry: Telemetry, clock: Clock) {
    this.#span = span
    this.#operation = operation
    this.#telemetry = telemetry
    this.#clock = clock
    this.#startedAtMs = clock.now()
  }

  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      const result = await this.#inside(work)
      this.#end(undefined)
      return result
    } catch (error) {
      this.#end(error)
      throw error
    }
  }

  /** A reader that stops early is a success. */
  async *iterate<Item>(items: AsyncIterable<Item>): AsyncGenerator<Item> {
    const iterator = items[Symbol.asyncIterator]()
    let failure: unknown
    try {
      for (;;) {
        // A generator runs where it is asked to go on.
        const next = await this.#inside(() => iterator.next())
        if (next.done === true) return
        yield next.value
      }
    } catch (error) {
      failure = error
      throw error
    } finally {
      this.#end(failure)
      await iterator.return?.()
    }
  }

  #inside<Result>(work: () => Promise<Result>): Promise<Result> {
    return context.with(trace.setSpan(context.active(), this.#span), work)
  }

  #end(failure: unknown): void {
    const error: PolyphonyError | undefined = failure === undefined ? undefined : toPolyphonyError(failure)
    const labels = { operation: this.#operation, outcome: error?.code ?? 'ok' }
    this.#telemetry.count('polyphony_store_calls_total', 1, labels)
    this.#telemetry.observe('polyphony_store_duration_ms', this.#clock.now() - this.#startedAtMs, labels)
    if (error !== undefined) {
      this.#span.recordException(error)
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error.code })
    }
    this.#span.end()
  }
}

async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  count: (chunk: Uint8Array) => void,
): AsyncIterable<Uint8Array> {
  for await (const chunk of chunks) {
    count(chunk)
    yield chunk
  }
}

import type { Clock } from '@polyphony/core'
import { JsonView, type JsonValue } from '@polyphony/translator'
import jsonPatch from 'fast-json-patch'
import * as Y from 'yjs'
import type { FeedSource, FeedTarget, Frame } from '../src/index.ts'

/** Time that stands still until it is moved. */
export class ManualClock implements Clock {
  #nowMs = 1_000_000
  readonly #tasks = new Set<{ readonly atMs: number; readonly run: () => void }>()

  now(): number {
    return this.#nowMs
  }

  after(ms: number, run: () => void): () => void {
    const task = { atMs: this.#nowMs + ms, run }
    this.#tasks.add(task)
    return () => void this.#tasks.delete(task)
  }

  /** Lets `ms` pass; what is due runs in order, and what it starts is finished before time goes on. */
  async pass(ms: number): Promise<void> {
    const end = this.#nowMs + ms
    await turn()
    for (;;) {
      const next = [...this.#tasks].toSorted((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined || next.atMs > end) break
      this.#tasks.delete(next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
      await turn()
    }
    this.#nowMs = end
  }
}

/** Until everything that has been started is done: reads settle in a few microtasks, which a macrotask outlasts. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A document without rooms or a store, and how a feed reads it. */
export class TestDocument implements FeedSource {
  readonly documentId = 'test'
  readonly doc = new Y.Doc({ gc: false })
  readonly view = new JsonView(this.doc)
  reads = 0

  read<T>(task: (view: JsonView) => T): Promise<T> {
    this.reads += 1
    return Promise.resolve().then(() => task(this.view))
  }

  formatVersion(version: { toString(): string }): string {
    return `test.${version.toString()}`
  }

  set(key: string, value: JsonValue): void {
    this.view.apply([{ op: 'add', path: `/${key}`, value }])
  }

  get state(): JsonValue {
    return this.view.read()
  }
}

interface StateEvent {
  readonly type: 'STATE_SNAPSHOT' | 'STATE_DELTA'
  readonly snapshot?: unknown
  readonly delta?: jsonPatch.Operation[]
  readonly metadata: { readonly polyphony: { version: string; previous: string | null; partial?: true } }
}

/** A reader that does what the official client does with state events, and checks the chain of versions. */
export class TestReader implements FeedTarget {
  readonly frames: Frame[] = []
  readonly events: StateEvent[] = []
  state: unknown
  version: string | undefined
  error: unknown
  /** Frames that may still be written before the reader is full. */
  room = Infinity
  /** Makes the reader miss the next delta, as a client does on which it fails. */
  failsNext = false

  constructor(state?: unknown, version?: string) {
    this.state = state
    this.version = version
  }

  write(frame: Frame): boolean {
    if (this.room <= 0) throw new Error('Written to although it is full')
    this.frames.push(frame)
    const event = parseFrame(frame)
    this.events.push(event)
    const { version, previous } = event.metadata.polyphony
    if (event.type === 'STATE_SNAPSHOT') this.state = event.snapshot
    else {
      if (previous !== this.version) throw new Error(`Delta from ${previous} on ${this.version}`)
      if (this.failsNext) this.failsNext = false
      else this.state = jsonPatch.applyPatch(this.state, event.delta!, true, false).newDocument
    }
    this.version = version
    this.room -= 1
    return this.room > 0
  }

  fail(error: unknown): void {
    this.error = error
  }

  get kinds(): string[] {
    return this.events.map(({ type }) => type)
  }
}

export function parseFrame({ bytes }: Frame): StateEvent {
  const [, data] = /^id: .*\ndata: (.*)\n\n$/.exec(Buffer.from(bytes).toString()) ?? []
  return JSON.parse(data!) as StateEvent
}

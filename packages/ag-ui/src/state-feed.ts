import {
  isPolyphonyError,
  toPolyphonyError,
  type Clock,
  type ErrorCode,
  type PolyphonyError,
  type Telemetry,
} from '@polyphony/core'
import type { JsonView, Version } from '@polyphony/translator'
import { FeedReader, type FeedTarget, type HeldVersion } from './feed-reader.ts'
import { defaultPace, idlePace, stepPace, type PaceInput, type PaceOptions } from './flush-pace.ts'
import { FrameList, type Frame } from './frame-list.ts'
import {
  defaultRepair,
  startRepair,
  stepRepair,
  type RepairInput,
  type RepairOptions,
} from './repair-schedule.ts'
import { patchFrames, snapshotFrames } from './state-frames.ts'

/** The document that a feed shows. */
export interface FeedSource {
  readonly documentId: string
  /** Runs `task` synchronously on a view of exactly the committed state. Rejects once the document is closed. */
  read<T>(task: (view: JsonView) => T): Promise<T>
  /** The opaque token of a version; equal versions have equal tokens. */
  formatVersion(version: Version): string
}

export interface FeedOptions {
  readonly pace: PaceOptions
  readonly repair: RepairOptions
  /** Bytes of one frame; larger states and deltas take several. */
  readonly frameBytesMax: number
  /** How long the last snapshot is kept for further readers while nothing changes. */
  readonly snapshotKeptMs: number
}

export const defaultFeedOptions: FeedOptions = {
  pace: defaultPace,
  repair: defaultRepair,
  frameBytesMax: 8 << 20,
  snapshotKeptMs: 5_000,
}

export interface FeedParts {
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** The part of the document that is shown; default all of it. */
  readonly pointer?: string | undefined
  /** Whether changes of long texts are told as splices, in CUSTOM events; official clients do not understand these. */
  readonly splices?: boolean | undefined
  readonly options?: Partial<FeedOptions> | undefined
}

export interface FeedSubscription {
  /** Settles once the reader was sent everything up to some moment after the call, or is gone. */
  flush(): Promise<void>
  /** The target takes frames again. */
  drained(): void
  close(): void
}

/**
 * One view of a document for any number of readers. What they need is computed and encoded once per pair of versions,
 * however many they are. A reader that does not take what it was sent is left alone; when it does, it gets one net delta.
 */
export class StateFeed {
  readonly #source: FeedSource
  readonly #pointer: string
  readonly #splices: boolean
  readonly #options: FeedOptions
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #readers = new Set<FeedReader>()
  readonly #wanted = new Set<FeedReader>()
  readonly #timers = new Map<'pace' | 'repair' | 'snapshot', () => void>()
  #pace = idlePace
  #repair
  #isSized = false
  #snapshot: { readonly token: string; readonly frames: FrameList } | undefined
  #isServing = false
  #isFlushing = false

  constructor(source: FeedSource, parts: FeedParts) {
    this.#source = source
    this.#pointer = parts.pointer ?? ''
    this.#splices = parts.splices ?? false
    this.#options = { ...defaultFeedOptions, ...parts.options }
    this.#clock = parts.clock
    this.#telemetry = parts.telemetry
    this.#repair = startRepair(parts.clock.now(), this.#options.repair)
  }

  get readerCount(): number {
    return this.#readers.size
  }

  /** Adds a reader. With `since` it is told what changed after it, if that is still known; otherwise the whole state. */
  subscribe(target: FeedTarget, since?: Version): FeedSubscription {
    const reader = new FeedReader(
      target,
      since === undefined ? undefined : { version: since, token: this.#source.formatVersion(since) },
    )
    this.#readers.add(reader)
    this.#want(reader)
    return {
      flush: () =>
        new Promise((resolve) => {
          reader.wait(resolve)
          if (!reader.isClosed) this.#want(reader)
        }),
      drained: () => {
        reader.drained()
        if (reader.isClosed) this.#forget(reader)
        if (!reader.isReady) return
        if (reader.hasWaiters) this.#want(reader)
        else this.changed()
      },
      close: () => {
        reader.close()
        this.#forget(reader)
      },
    }
  }

  /** To be called when the document has advanced. */
  changed(): void {
    if (this.#readers.size > 0) this.#stepPace({ type: 'changed' })
  }

  /** Ends the feed for all its readers. */
  fail(error: PolyphonyError): void {
    for (const reader of this.#readers) {
      reader.fail(error)
      this.#forget(reader)
    }
  }

  #forget(reader: FeedReader): void {
    this.#readers.delete(reader)
    this.#wanted.delete(reader)
    if (this.#readers.size > 0) return
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
    this.#snapshot = undefined
    this.#pace = idlePace
    this.#repair = startRepair(this.#clock.now(), this.#options.repair)
  }

  #want(reader: FeedReader): void {
    this.#wanted.add(reader)
    void this.#serve()
  }

  /** Serves whoever wants something, one read at a time; those who come during a read share the next one. */
  async #serve(): Promise<void> {
    if (this.#isServing) return
    this.#isServing = true
    while (this.#wanted.size > 0) {
      const readers = [...this.#wanted].filter((reader) => reader.isReady)
      this.#wanted.clear()
      const isFlush = this.#isFlushing
      this.#isFlushing = false
      const served = await this.#serveOnce(readers)
      if (isFlush) this.#stepPace({ type: 'flushed', readers: readers.length, ...served })
    }
    this.#isServing = false
  }

  async #serveOnce(
    readers: readonly FeedReader[],
  ): Promise<{ readonly bytes: number; readonly workMs: number }> {
    const idle = { bytes: 0, workMs: 0 }
    if (readers.length === 0) return idle
    for (const reader of readers) reader.prepare()
    try {
      const sendings = await this.#source.read((view) => this.#render(view, readers))
      return this.#send(readers, sendings)
    } catch (error) {
      for (const reader of readers) {
        reader.fail(toPolyphonyError(error))
        this.#forget(reader)
      }
      return idle
    }
  }

  /** What each reader lacks at this version; readers that lack the same share it. */
  #render(view: JsonView, readers: readonly FeedReader[]): Sendings {
    const startedAtMs = this.#clock.now()
    const leadsTo: HeldVersion = { version: view.version, token: this.#source.formatVersion(view.version) }
    const deltas = new Map<string, Sending | undefined>()
    const byReader = new Map<FeedReader, Sending>()
    for (const reader of readers) {
      const held = reader.needsSnapshot ? undefined : reader.held
      if (held !== undefined && (held.token === leadsTo.token || reader.checked === leadsTo.token)) continue
      if (held !== undefined && !deltas.has(held.token))
        deltas.set(held.token, this.#delta(view, held, leadsTo))
      const sending = held === undefined ? this.#whole(view, leadsTo) : deltas.get(held.token)
      if (sending === undefined) reader.checked = leadsTo.token
      else byReader.set(reader, sending)
    }
    return { byReader, leadsTo, workMs: this.#clock.now() - startedAtMs }
  }

  /** Nothing when nothing changed in this view; a snapshot when the view no longer knows what did. */
  #delta(view: JsonView, held: HeldVersion, leadsTo: HeldVersion): Sending | undefined {
    try {
      const patch = view.diff(held.version, { pointer: this.#pointer, splices: this.#splices })
      if (patch.length === 0) return undefined
      return { kind: 'delta', frames: new FrameList(patchFrames(patch, held.token, this.#context(leadsTo))) }
    } catch (error) {
      if (!isPolyphonyError(error) || !unknownVersion.has(error.code)) throw error
      return this.#whole(view, leadsTo)
    }
  }

  #whole(view: JsonView, leadsTo: HeldVersion): Sending {
    if (this.#snapshot?.token !== leadsTo.token) {
      const frames = snapshotFrames(view.read({ pointer: this.#pointer }), this.#context(leadsTo))
      this.#snapshot = { token: leadsTo.token, frames: new FrameList(frames) }
      this.#arm(
        'snapshot',
        this.#clock.now() + this.#options.snapshotKeptMs,
        () => (this.#snapshot = undefined),
      )
    }
    return { kind: 'snapshot', frames: this.#snapshot.frames }
  }

  #context(leadsTo: HeldVersion) {
    const { documentId } = this.#source
    return { documentId, version: leadsTo.token, frameBytesMax: this.#options.frameBytesMax }
  }

  #send(readers: readonly FeedReader[], { byReader, leadsTo, workMs }: Sendings) {
    const startedAtMs = this.#clock.now()
    const repeated = [...byReader.keys()].some((reader) => reader.needsSnapshot)
    for (const reader of readers) {
      if (reader.isClosed) continue
      const sending = byReader.get(reader)
      if (sending === undefined) reader.settle()
      else reader.send(sending.frames, sending.kind, leadsTo)
      if (reader.isClosed) this.#forget(reader)
    }
    const made = new Set(byReader.values())
    const sizes = { delta: 0, snapshot: 0 }
    for (const { kind, frames } of made) {
      sizes[kind] = Math.max(sizes[kind], frames.bytes)
      this.#telemetry.observe('polyphony_feed_flush_bytes', frames.bytes, { kind })
    }
    if (sizes.snapshot > 0 && (repeated || !this.#isSized)) {
      this.#isSized = true
      this.#stepRepair({ type: 'snapshot-sent', bytes: sizes.snapshot })
    }
    if (sizes.delta > 0) this.#stepRepair({ type: 'delta-sent' })
    const totalMs = workMs + this.#clock.now() - startedAtMs
    if (made.size > 0) this.#telemetry.observe('polyphony_feed_flush_duration_ms', totalMs)
    return { bytes: sizes.delta, workMs: totalMs }
  }

  #stepPace(input: PaceInput): void {
    const { state, effect } = stepPace(this.#pace, input, this.#clock.now(), this.#options.pace)
    this.#pace = state
    if (effect?.type === 'wake') this.#arm('pace', effect.atMs, () => this.#stepPace({ type: 'timer' }))
    if (effect?.type !== 'flush') return
    this.#isFlushing = true
    for (const reader of this.#readers) this.#wanted.add(reader)
    void this.#serve()
  }

  #stepRepair(input: RepairInput): void {
    const { state, effect } = stepRepair(this.#repair, input, this.#clock.now(), this.#options.repair)
    this.#repair = state
    if (effect?.type === 'wake') this.#arm('repair', effect.atMs, () => this.#stepRepair({ type: 'timer' }))
    if (effect?.type !== 'snapshot') return
    for (const reader of this.#readers) {
      if (!reader.hadDeltas) continue
      reader.needsSnapshot = true
      this.#want(reader)
    }
  }

  #arm(name: 'pace' | 'repair' | 'snapshot', atMs: number, task: () => void): void {
    this.#timers.get(name)?.()
    const cancel = this.#clock.after(Math.max(0, atMs - this.#clock.now()), () => {
      this.#timers.delete(name)
      task()
    })
    this.#timers.set(name, cancel)
  }
}

interface Sending {
  readonly kind: Frame['kind']
  readonly frames: FrameList
}

interface Sendings {
  readonly byReader: ReadonlyMap<FeedReader, Sending>
  readonly leadsTo: HeldVersion
  readonly workMs: number
}

/** Codes by which a view says that it cannot tell what changed since a version. */
const unknownVersion: ReadonlySet<ErrorCode> = new Set([
  'revision-expired',
  'incarnation-mismatch',
  'invalid-token',
])

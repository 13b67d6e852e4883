import {
  isPolyphonyError,
  toPolyphonyError,
  Turns,
  type Clock,
  type ErrorCode,
  type PolyphonyError,
  type Telemetry,
} from '@polyphony/core'
import type { JsonView, Version } from '@polyphony/translator'
import { FeedReader, type Delivery, type FeedTarget, type HeldVersion } from './feed-reader.ts'
import { defaultPace, idlePace, stepPace, type PaceInput, type PaceOptions } from './flush-pace.ts'
import { FrameList } from './frame-list.ts'
import {
  defaultRepair,
  startRepair,
  stepRepair,
  type RepairInput,
  type RepairOptions,
} from './repair-schedule.ts'
import { SnapshotMemory } from './snapshot-memory.ts'
import { snapshotFrames } from './snapshot-writer.ts'
import { patchFrames } from './state-frames.ts'

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
  /** A snapshot of at least this many bytes is kept longer, and given with a delta when something has changed since. */
  readonly largeSnapshotBytesMin: number
  readonly largeSnapshotKeptMs: number
}

export const defaultFeedOptions: FeedOptions = {
  pace: defaultPace,
  repair: defaultRepair,
  frameBytesMax: 8 << 20,
  snapshotKeptMs: 5_000,
  largeSnapshotBytesMin: 1 << 20,
  largeSnapshotKeptMs: 60_000,
}

export interface FeedParts {
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** The part of the document that is shown; default all of it. */
  readonly pointer?: string | undefined
  /** Whether changes of long texts are told as splices, in CUSTOM events; official clients do not understand these. */
  readonly splices?: boolean | undefined
  readonly options?: Partial<FeedOptions> | undefined
  /** Shared by all feeds: the turns in which snapshots are made, and the memory that they may take. Default: unlimited. */
  readonly turns?: Turns | undefined
  readonly memory?: SnapshotMemory | undefined
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
  readonly #turns: Turns
  readonly #memory: SnapshotMemory
  readonly #readers = new Set<FeedReader>()
  readonly #wanted = new Set<FeedReader>()
  readonly #timers = new Map<'pace' | 'repair' | 'snapshot', () => void>()
  #pace = idlePace
  #repair
  #isSized = false
  #snapshot: Snapshot | undefined
  #isServing = false
  #isFlushing = false
  /** Whether deliveries are being handed out, and what is sent meanwhile is sent at once. */
  #isSending = false

  constructor(source: FeedSource, parts: FeedParts) {
    this.#source = source
    this.#pointer = parts.pointer ?? ''
    this.#splices = parts.splices ?? false
    this.#options = { ...defaultFeedOptions, ...parts.options }
    this.#clock = parts.clock
    this.#telemetry = parts.telemetry
    this.#turns = parts.turns ?? new Turns(parts.clock)
    this.#memory = parts.memory ?? new SnapshotMemory(Infinity)
    this.#repair = startRepair(parts.clock.now(), this.#options.repair)
  }

  get readerCount(): number {
    return this.#readers.size
  }

  /** Adds a reader. With `since` it is told what changed after it, if that is still known; otherwise the whole state. */
  subscribe(target: FeedTarget, since?: Version): FeedSubscription {
    const reader: FeedReader = new FeedReader(
      target,
      since === undefined ? undefined : { version: since, token: this.#source.formatVersion(since) },
      () => this.#sent(reader),
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
        if (reader.isReady) this.#goOn(reader)
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
    this.#dropSnapshot()
    this.#pace = idlePace
    this.#repair = startRepair(this.#clock.now(), this.#options.repair)
  }

  /** A reader has taken what took it some time. */
  #sent(reader: FeedReader): void {
    if (!this.#isSending && reader.isReady) this.#goOn(reader)
  }

  /** The document may have moved on while the reader was busy. */
  #goOn(reader: FeedReader): void {
    if (reader.hasWaiters) this.#want(reader)
    else this.changed()
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
  #render(view: JsonView, readers: readonly FeedReader[]): Deliveries {
    const startedAtMs = this.#clock.now()
    const leadsTo: HeldVersion = { version: view.version, token: this.#source.formatVersion(view.version) }
    const deltas = new Map<string, Delivery | undefined>()
    const byReader = new Map<FeedReader, Delivery>()
    for (const reader of readers) {
      const held = reader.needsSnapshot ? undefined : reader.held
      if (held !== undefined && (held.token === leadsTo.token || reader.checked === leadsTo.token)) continue
      try {
        if (held !== undefined && !deltas.has(held.token))
          deltas.set(held.token, this.#delta(view, held, leadsTo))
        const delivery = held === undefined ? this.#whole(view, leadsTo) : deltas.get(held.token)
        if (delivery === undefined) reader.checked = leadsTo.token
        else byReader.set(reader, delivery)
      } catch (error) {
        // There is no memory for another snapshot; those who need none go on.
        if (!isPolyphonyError(error) || error.code !== 'overloaded') throw error
        reader.fail(error)
        this.#forget(reader)
      }
    }
    return { byReader, leadsTo, workMs: this.#clock.now() - startedAtMs }
  }

  /** Nothing when nothing changed in this view; a snapshot when the view no longer knows what did. */
  #delta(view: JsonView, held: HeldVersion, leadsTo: HeldVersion): Delivery | undefined {
    try {
      const patch = view.diff(held.version, { pointer: this.#pointer, splices: this.#splices })
      if (patch.length === 0) return undefined
      const frames = new FrameList(patchFrames(patch, held.token, this.#context(leadsTo)), this.#turns)
      return { kind: 'delta', frames, leadsTo, isNewest: true }
    } catch (error) {
      if (!isPolyphonyError(error) || !unknownVersion.has(error.code)) throw error
      return this.#whole(view, leadsTo)
    }
  }

  #whole(view: JsonView, newest: HeldVersion): Delivery {
    const { frames, held } = this.#usableSnapshot(view, newest) ?? this.#makeSnapshot(view, newest)
    return { kind: 'snapshot', frames, leadsTo: held, isNewest: held.token === newest.token }
  }

  /** The snapshot at hand: of this version, or a large one of an earlier version from which a delta leads on. */
  #usableSnapshot(view: JsonView, newest: HeldVersion): Snapshot | undefined {
    const snapshot = this.#snapshot
    if (snapshot === undefined || snapshot.frames.hasFailed) return undefined
    const { frames } = snapshot
    const isLarge = frames.isMaking || frames.bytes >= this.#options.largeSnapshotBytesMin
    if (snapshot.held.token !== newest.token && (!isLarge || snapshot.held.version.revision < view.oldest))
      return undefined
    snapshot.usedAtMs = this.#clock.now()
    return snapshot
  }

  #makeSnapshot(view: JsonView, held: HeldVersion): Snapshot {
    this.#dropSnapshot()
    this.#memory.makeRoom(this.#source.documentId)
    const cursor = view.cursor({ pointer: this.#pointer, at: held.version })
    const frames = new FrameList(snapshotFrames(cursor, this.#context(held)), this.#turns, this.#memory)
    frames.hold()
    this.#memory.keep(frames, () => this.#dropSnapshot())
    this.#snapshot = { held, frames, usedAtMs: this.#clock.now() }
    this.#expireSnapshot(this.#options.snapshotKeptMs)
    return this.#snapshot
  }

  #expireSnapshot(afterMs: number): void {
    const { largeSnapshotBytesMin, largeSnapshotKeptMs } = this.#options
    this.#arm('snapshot', this.#clock.now() + afterMs, () => {
      const { frames, usedAtMs } = this.#snapshot ?? {}
      const unusedMs = this.#clock.now() - (usedAtMs ?? 0)
      if (frames !== undefined && frames.bytes >= largeSnapshotBytesMin && unusedMs < largeSnapshotKeptMs)
        this.#expireSnapshot(largeSnapshotKeptMs - unusedMs)
      else this.#dropSnapshot()
    })
  }

  #dropSnapshot(): void {
    const frames = this.#snapshot?.frames
    if (frames === undefined) return
    this.#snapshot = undefined
    this.#memory.forget(frames)
    frames.release()
  }

  #context(leadsTo: HeldVersion) {
    const { documentId } = this.#source
    return { documentId, version: leadsTo.token, frameBytesMax: this.#options.frameBytesMax }
  }

  #send(readers: readonly FeedReader[], { byReader, leadsTo, workMs }: Deliveries) {
    const startedAtMs = this.#clock.now()
    const repeated = [...byReader.keys()].some((reader) => reader.needsSnapshot)
    const made = new Set(byReader.values())
    for (const { frames } of made) frames.hold()
    this.#isSending = true
    for (const reader of readers) {
      if (reader.isClosed) continue
      const delivery = byReader.get(reader)
      if (delivery === undefined) reader.settle()
      else reader.send(delivery)
      if (reader.isClosed) this.#forget(reader)
      // What was given an older snapshot, or none after all, is served again.
      else if (reader.isReady && reader.held?.token !== leadsTo.token && delivery !== undefined)
        this.#wanted.add(reader)
    }
    this.#isSending = false
    let deltaBytes = 0
    for (const { kind, frames } of made) {
      if (kind === 'delta') deltaBytes = Math.max(deltaBytes, frames.bytes)
      frames.whenComplete(() => {
        this.#telemetry.observe('polyphony_feed_flush_bytes', frames.bytes, { kind })
        if (kind !== 'snapshot' || (!repeated && this.#isSized)) return
        this.#isSized = true
        this.#stepRepair({ type: 'snapshot-sent', bytes: frames.bytes })
      })
      frames.release()
    }
    if (deltaBytes > 0) this.#stepRepair({ type: 'delta-sent' })
    const totalMs = workMs + this.#clock.now() - startedAtMs
    if (made.size > 0) this.#telemetry.observe('polyphony_feed_flush_duration_ms', totalMs)
    return { bytes: deltaBytes, workMs: totalMs }
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

interface Snapshot {
  readonly held: HeldVersion
  readonly frames: FrameList
  usedAtMs: number
}

interface Deliveries {
  readonly byReader: ReadonlyMap<FeedReader, Delivery>
  readonly leadsTo: HeldVersion
  readonly workMs: number
}

/** Codes by which a view says that it cannot tell what changed since a version. */
const unknownVersion: ReadonlySet<ErrorCode> = new Set([
  'revision-expired',
  'incarnation-mismatch',
  'invalid-token',
])

import type { Message } from '@ag-ui/core'
import { toPolyphonyError, type Clock, type PolyphonyError, type Telemetry } from '@polyphony/core'
import type { ConversationEntry } from './conversation.ts'
import { ConversationMirror } from './conversation-mirror.ts'
import type { FeedTarget } from './feed-reader.ts'
import { defaultPace, idlePace, stepPace, type PaceInput, type PaceOptions } from './flush-pace.ts'
import { closingEvents, messageEvents, type HeldMessages, type MessageEvents } from './message-events.ts'
import { foreignMessages, weaveForeign, type ForeignMessage } from './foreign-messages.ts'
import { encodeSse } from './sse.ts'
import type { FeedSource, FeedSubscription } from './state-feed.ts'

export interface MessageFeedParts {
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly pace?: PaceOptions | undefined
  /** Bytes of one frame; a snapshot leaves out older messages that do not fit. */
  readonly frameBytesMax: number
}

export interface MessageSubscription extends FeedSubscription {
  /** Sends what there is and closes what is open, so that the run can finish. Nothing is sent after it. */
  finish(): Promise<void>
}

/**
 * The messages of a document for any number of readers, as AG-UI events. Readers that hold the same share what is
 * computed and encoded; one that does not take what it was sent is left alone until it does, and then gets what it lacks.
 * A document without messages costs a look at its roots per flush.
 */
export class MessageFeed {
  readonly #source: Pick<FeedSource, 'read'>
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #paceOptions: PaceOptions
  readonly #lengthMax: number
  readonly #mirror = new ConversationMirror()
  readonly #readers = new Set<MessageReader>()
  readonly #wanted = new Set<MessageReader>()
  #pace = idlePace
  #cancelWake: () => void = () => undefined
  #isServing = false
  #isFlushing = false

  constructor(source: Pick<FeedSource, 'read'>, parts: MessageFeedParts) {
    this.#source = source
    this.#clock = parts.clock
    this.#telemetry = parts.telemetry
    this.#paceOptions = parts.pace ?? defaultPace
    // Most text needs a byte a unit, none more than three.
    this.#lengthMax = Math.floor(parts.frameBytesMax / 3)
  }

  get readerCount(): number {
    return this.#readers.size
  }

  /** Adds a reader that has `history`, which it is not told again, and which it keeps. */
  subscribe(target: FeedTarget, history: readonly Message[]): MessageSubscription {
    const reader = new MessageReader(target, history)
    this.#readers.add(reader)
    this.#want(reader)
    const flush = (): Promise<void> =>
      new Promise((resolve) => {
        if (reader.isClosed) resolve()
        else {
          reader.waiters.push(resolve)
          this.#want(reader)
        }
      })
    return {
      flush,
      finish: async () => {
        await flush()
        reader.finish()
        this.#forget(reader)
      },
      drained: () => {
        reader.isBlocked = false
        if (!reader.isClosed) this.#want(reader)
      },
      close: () => this.#forget(reader),
    }
  }

  /** To be called when the document has advanced. */
  changed(): void {
    if (this.#readers.size > 0) this.#stepPace({ type: 'changed' })
  }

  /** Ends the feed for all its readers. Whoever feeds them the state tells them why. */
  close(): void {
    for (const reader of this.#readers) this.#forget(reader)
  }

  #forget(reader: MessageReader): void {
    reader.close()
    this.#readers.delete(reader)
    this.#wanted.delete(reader)
    if (this.#readers.size > 0) return
    this.#cancelWake()
    this.#pace = idlePace
    this.#mirror.destroy()
  }

  #want(reader: MessageReader): void {
    this.#wanted.add(reader)
    void this.#serve()
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return
    this.#isServing = true
    while (this.#wanted.size > 0) {
      const readers = [...this.#wanted].filter(({ isReady }) => isReady)
      this.#wanted.clear()
      const isFlush = this.#isFlushing
      this.#isFlushing = false
      const served = await this.#serveOnce(readers)
      if (isFlush) this.#stepPace({ type: 'flushed', readers: readers.length, ...served })
    }
    this.#isServing = false
  }

  async #serveOnce(
    readers: readonly MessageReader[],
  ): Promise<{ readonly bytes: number; readonly workMs: number }> {
    if (readers.length === 0) return { bytes: 0, workMs: 0 }
    const waiters = readers.flatMap((reader) => reader.waiters.splice(0))
    let served = { bytes: 0, workMs: 0 }
    try {
      const entries = await this.#source.read((view) => this.#mirror.read(view.doc))
      served = this.#send(readers, entries)
    } catch (error) {
      for (const reader of readers) {
        reader.fail(toPolyphonyError(error))
        this.#forget(reader)
      }
    }
    for (const waiter of waiters) waiter()
    return served
  }

  #send(
    readers: readonly MessageReader[],
    entries: readonly ConversationEntry[],
  ): { readonly bytes: number; readonly workMs: number } {
    const startedAtMs = this.#clock.now()
    const shared: SharedSendings = { byHeld: new Map(), heldByKey: new Map() }
    let bytes = 0
    for (const reader of readers) {
      if (reader.isClosed) continue
      const sending = this.#sendingFor(reader, entries, shared)
      if (sending === undefined) continue
      reader.send(sending)
      bytes = Math.max(bytes, sending.bytes)
    }
    if (bytes > 0) this.#telemetry.observe('polyphony_feed_flush_bytes', bytes, { kind: 'messages' })
    return { bytes, workMs: this.#clock.now() - startedAtMs }
  }

  #sendingFor(
    reader: MessageReader,
    entries: readonly ConversationEntry[],
    { byHeld, heldByKey }: SharedSendings,
  ): Sending | undefined {
    const foreign = reader.foreignTo(entries)
    if (foreign.length > 0) {
      return encode(messageEvents(reader.held, weaveForeign(entries, foreign), this.#lengthMax))
    }
    if (!byHeld.has(reader.held)) {
      const sending = encode(messageEvents(reader.held, entries, this.#lengthMax))
      byHeld.set(
        reader.held,
        sending === undefined ? undefined : { ...sending, held: sameHeld(sending.held) },
      )
    }
    return byHeld.get(reader.held)

    /** Readers that came at different times hold the same after the same messages, and go on as one. */
    function sameHeld(held: HeldMessages): HeldMessages {
      const key = JSON.stringify([held.from, [...held.open].toSorted()])
      const known = heldByKey.get(key) ?? held
      heldByKey.set(key, known)
      return known
    }
  }

  #stepPace(input: PaceInput): void {
    const { state, effect } = stepPace(this.#pace, input, this.#clock.now(), this.#paceOptions)
    this.#pace = state
    if (effect?.type === 'wake') {
      this.#cancelWake()
      const ms = Math.max(0, effect.atMs - this.#clock.now())
      this.#cancelWake = this.#clock.after(ms, () => this.#stepPace({ type: 'timer' }))
    }
    if (effect?.type !== 'flush') return
    this.#isFlushing = true
    for (const reader of this.#readers) this.#wanted.add(reader)
    void this.#serve()
  }
}

/** What is computed once for readers that are told of the same messages. */
interface SharedSendings {
  readonly byHeld: Map<HeldMessages, Sending | undefined>
  readonly heldByKey: Map<string, HeldMessages>
}

interface Sending {
  readonly frames: readonly Uint8Array[]
  readonly bytes: number
  readonly held: HeldMessages
  readonly isSnapshot: boolean
}

function encode(told: MessageEvents | undefined): Sending | undefined {
  if (told === undefined) return undefined
  const frames = told.events.map((data) => encodeSse({ data }))
  const bytes = frames.reduce((sum, frame) => sum + frame.byteLength, 0)
  return { frames, bytes, held: told.held, isSnapshot: told.isSnapshot }
}

const nothing: HeldMessages = { messages: [], open: new Set(), isNew: true }

/** What one reader has, and whether it takes more. */
class MessageReader {
  readonly #target: FeedTarget
  readonly #history: readonly Message[]
  #foreign: readonly ForeignMessage[] | undefined
  readonly waiters: (() => void)[] = []
  held: HeldMessages
  isBlocked = false
  isClosed = false

  constructor(target: FeedTarget, history: readonly Message[]) {
    this.#target = target
    this.#history = history
    this.held = history.length === 0 ? nothing : { messages: history, open: new Set(), isNew: true }
  }

  get isReady(): boolean {
    return !this.isClosed && !this.isBlocked
  }

  /** What it had from elsewhere when it came, which stays its own. */
  foreignTo(entries: readonly ConversationEntry[]): readonly ForeignMessage[] {
    this.#foreign ??= foreignMessages(entries, this.#history)
    return this.#foreign
  }

  send({ frames, held, isSnapshot }: Sending): void {
    this.held = held
    for (const bytes of frames)
      this.isBlocked = !this.#target.write({ kind: isSnapshot ? 'snapshot' : 'delta', bytes })
  }

  finish(): void {
    if (this.isClosed) return
    for (const data of closingEvents(this.held))
      this.#target.write({ kind: 'delta', bytes: encodeSse({ data }) })
  }

  close(): void {
    this.isClosed = true
    for (const waiter of this.waiters.splice(0)) waiter()
  }

  fail(error: PolyphonyError): void {
    if (!this.isClosed) this.#target.fail(error)
  }
}

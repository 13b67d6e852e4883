import {
  AgentEventReader,
  endRun,
  EventType,
  MessageFold,
  readRun,
  touchRun,
  writeMessages,
  type AgentEvent,
  type Message,
  type RunEnd,
} from '@polyphony/ag-ui'
import {
  PolyphonyError,
  toPolyphonyError,
  type Clock,
  type Limits,
  type Logger,
  type Random,
  type Telemetry,
} from '@polyphony/core'
import type { Version } from '@polyphony/translator'
import { AgentBatch, type BatchOutcome } from './agent-batch.ts'
import { agentEvents } from './agent-connection.ts'
import type { AgentOptions } from './agent-options.ts'
import type { Authorship, DocumentHandle } from './document-handle.ts'

export interface AgentRunOptions {
  readonly name: string
  readonly agent: AgentOptions
  /** Stays open until the run is over; the run does not release it. */
  readonly handle: DocumentHandle
  readonly authorship: Authorship & { readonly runId: string }
  /** What is sent to the agent. */
  readonly input: unknown
  /** The messages that it was given. */
  readonly messages: readonly Message[]
  /** The version of the state that it was given, and the part of the document that this is. */
  readonly seen: Version
  readonly pointer: string
  readonly clock: Clock
  readonly random: Random
  readonly limits: Limits
  readonly logger: Logger
  readonly telemetry: Telemetry
}

/** What a flush brought, for the caller of a run. What the document has of it is committed. */
export interface RunNews {
  readonly outcome: BatchOutcome | undefined
  /** Events that no document keeps. */
  readonly passed: readonly AgentEvent[]
}

export type RunListener = (news: RunNews) => Promise<void>

/** How a run ended: by the agent's own last event, or by an error. */
export type RunOutcome = { readonly event: AgentEvent } | { readonly error: PolyphonyError }

/** Shortest time from one edit of the document to the next. */
const flushMs = 50
/** Events that may wait for an edit before the agent is not read further. */
const waitingMax = 2_000

/**
 * One run of an upstream agent in a document. What it streams is gathered and written as one edit per flush, under its
 * name and the id of the run; it goes on whether anybody listens or not.
 */
export class AgentRun {
  readonly #options: AgentRunOptions
  readonly #abort = new AbortController()
  readonly #fold: MessageFold
  readonly #waiting: AgentEvent[] = []
  #seen: Version
  #listener: RunListener | 'awaited' | 'gone' = 'awaited'
  /** What there was to tell before anybody listened. */
  readonly #early: RunNews[] = []
  #wake: () => void = () => undefined
  #isRead = false
  #events = 0
  readonly ended: Promise<RunOutcome>

  constructor(options: AgentRunOptions) {
    this.#options = options
    this.#fold = new MessageFold(options.messages, options.limits)
    this.#seen = options.seen
    this.ended = this.#run()
  }

  get runId(): string {
    return this.#options.authorship.runId
  }

  /** Tells `listener`, one at most, what happens in the run, from its beginning on. */
  async listen(listener: RunListener): Promise<void> {
    // Until there is no more that came in between, further news go behind it.
    for (let news = this.#early.shift(); news !== undefined; news = this.#early.shift()) await listener(news)
    if (this.#listener === 'awaited') this.#listener = listener
  }

  /** Nobody listens any more. */
  leave(): void {
    this.#listener = 'gone'
    this.#early.length = 0
  }

  /** Ends the run with an error; resolves once that is noted in the document, or cannot be. */
  async stop(error: PolyphonyError): Promise<void> {
    this.#abort.abort(error)
    await this.ended
  }

  async #run(): Promise<RunOutcome> {
    const { handle, name, telemetry, logger, clock } = this.#options
    const startedAtMs = clock.now()
    telemetry.gauge('polyphony_agent_runs', 1, { agent: name })
    const forgetClose = handle.onClose((error) => this.#abort.abort(error))
    const forgetAdvance = handle.onAdvance(() => void this.#lookForCancel())
    const cancelBeat = this.#beat()
    let outcome: RunOutcome
    // What the agent has said is written, also when it breaks off.
    const [read, written] = await Promise.allSettled([this.#read(), this.#write()])
    if (written.status === 'rejected') outcome = { error: toPolyphonyError(written.reason) }
    else if (read.status === 'rejected') outcome = { error: toPolyphonyError(read.reason, 'agent-failed') }
    else if (read.value.type === EventType.RUN_ERROR) outcome = { error: errorOf(read.value) }
    else outcome = { event: read.value }
    cancelBeat()
    forgetAdvance()
    forgetClose()
    await this.#note(outcome)
    const code = 'error' in outcome ? outcome.error.code : 'ok'
    telemetry.gauge('polyphony_agent_runs', -1, { agent: name })
    telemetry.count('polyphony_agent_runs_total', 1, { agent: name, code })
    telemetry.observe('polyphony_agent_run_duration_ms', clock.now() - startedAtMs, { agent: name })
    logger.info(
      { documentId: handle.documentId, agent: name, runId: this.runId, code, events: this.#events },
      'agent run ended',
    )
    return outcome
  }

  /** Reads the agent to the end of its run. Resolves with the event that ends it. */
  async #read(): Promise<AgentEvent> {
    const { agent, input, clock, limits, random } = this.#options
    const reader = new AgentEventReader(() => random.hex(12))
    try {
      const { signal } = this.#abort
      for await (const value of agentEvents({ agent, input, signal, clock, limits })) {
        for (const event of reader.read(value)) {
          this.#events += 1
          if (event.type === EventType.RUN_FINISHED || event.type === EventType.RUN_ERROR) return event
          this.#waiting.push(event)
        }
        this.#wake()
        while (this.#waiting.length > waitingMax && !this.#abort.signal.aborted) await this.#pause(flushMs)
      }
      throw new PolyphonyError('agent-failed', 'The stream of the agent ended before its run did.')
    } finally {
      this.#isRead = true
      this.#wake()
    }
  }

  /** Writes what was read, until there is no more. */
  async #write(): Promise<void> {
    try {
      for (;;) {
        if (this.#waiting.length === 0) {
          if (this.#isRead) return
          await new Promise<void>((resolve) => {
            this.#wake = resolve
          })
          continue
        }
        const startedAtMs = this.#options.clock.now()
        await this.#flush()
        const leftMs = startedAtMs + flushMs - this.#options.clock.now()
        if (leftMs > 0 && !this.#isRead) await this.#pause(leftMs)
      }
    } catch (error) {
      // Whoever reads the agent is to stop, too.
      this.#abort.abort(error)
      throw error
    }
  }

  async #flush(): Promise<void> {
    const batch = new AgentBatch()
    while (this.#waiting.length > 0) {
      const event = this.#waiting.shift()
      if (event === undefined) break
      batch.add(event, this.#fold)
      // What comes after the beginning or end of a step is not to be seen before it.
      if (isBracket(event) && batch.passed.length < waitingMax) break
    }
    const outcome = batch.isEmpty ? undefined : await this.#commit(batch)
    await this.#tell({ outcome, passed: batch.passed })
  }

  async #tell(news: RunNews): Promise<void> {
    if (this.#listener === 'awaited') {
      if (this.#early.length < waitingMax) this.#early.push(news)
    } else if (this.#listener !== 'gone') await this.#listener(news)
  }

  async #commit(batch: AgentBatch): Promise<BatchOutcome | undefined> {
    const { handle, authorship, pointer, limits, clock } = this.#options
    const { author, runId } = authorship
    const about = { seen: this.#seen, pointer, runId, author, limits, nowMs: clock.now() }
    const { result } = await handle.edit(authorship, (view) => batch.write(view, about))
    if (result !== undefined) this.#seen = result.seen
    return result
  }

  /** Closes what is open and notes the end. When even that fails, others find the run silent later. */
  async #note(outcome: RunOutcome): Promise<void> {
    const { handle, authorship, clock, logger } = this.#options
    const edits = 'error' in outcome ? this.#fold.interrupt() : []
    const end = endOf(outcome, clock.now())
    try {
      await handle.edit(authorship, (view) => {
        writeMessages(view.doc, edits, { runId: this.runId })
        endRun(view.doc, this.runId, end)
      })
    } catch (error) {
      const { documentId } = handle
      logger.warn({ documentId, runId: this.runId, error: String(error) }, 'end of an agent run not noted')
    }
  }

  async #lookForCancel(): Promise<void> {
    try {
      const run = await this.#options.handle.read((view) => readRun(view.doc, this.runId))
      if (run?.cancelRequested === true)
        this.#abort.abort(new PolyphonyError('run-cancelled', 'The run was stopped on request.'))
      else if (run !== undefined && run.status !== 'running')
        this.#abort.abort(
          new PolyphonyError('agent-failed', 'The run was silent for too long and was ended.'),
        )
    } catch (error) {
      this.#abort.abort(error)
    }
  }

  /** A sign of life from time to time, also while the agent thinks. */
  #beat(): () => void {
    const { clock, limits, handle, authorship } = this.#options
    let cancel = (): void => undefined
    const next = (): void => {
      cancel = clock.after(limits.runSilentMs / 4, () => {
        next()
        handle
          .edit(authorship, (view) => touchRun(view.doc, this.runId, clock.now()))
          .catch((error: unknown) => this.#abort.abort(error))
      })
    }
    next()
    return () => cancel()
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(ms, resolve))
  }
}

function isBracket({ type }: AgentEvent): boolean {
  return type.startsWith('STEP_') || type.startsWith('SUBAGENT_')
}

function endOf(outcome: RunOutcome, endedAtMs: number): RunEnd {
  if ('error' in outcome) {
    const { code, message } = outcome.error
    return { status: code === 'run-cancelled' ? 'cancelled' : 'failed', endedAtMs, error: { code, message } }
  }
  const { event } = outcome
  if (event.type !== EventType.RUN_FINISHED) return { status: 'finished', endedAtMs }
  if (event.outcome?.type === 'interrupt')
    return { status: 'interrupt', endedAtMs, interrupts: event.outcome.interrupts }
  if (event.outcome?.type === 'cancelled') return { status: 'cancelled', endedAtMs }
  return { status: 'finished', endedAtMs, ...(event.result === undefined ? {} : { result: event.result }) }
}

/** The agent's own words; its own code goes along, for ours is one of a list. */
function errorOf(event: AgentEvent): PolyphonyError {
  const { message, code } = event as { readonly message?: string; readonly code?: string }
  return new PolyphonyError('agent-failed', (message ?? 'The agent failed.').slice(0, 2_000), {
    extra: code === undefined ? {} : { agentCode: code.slice(0, 200) },
  })
}

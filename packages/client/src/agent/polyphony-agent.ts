import {
  HttpAgent,
  type AgentStateMutation,
  type AgentSubscriber,
  type BaseEvent,
  type HttpAgentConfig,
  type RunAgentInput,
  type RunAgentParameters,
  type RunAgentResult,
  type State,
} from '@ag-ui/client'
import type { Conflict, SplicePatch } from '@polyphony/translator'
import { map, type Observable } from 'rxjs'
import { AgentSession } from './agent-session.ts'
import { documentRun } from './document-run.ts'
import type { HttpError } from './event-stream.ts'
import { HeldState } from './held-state.ts'
import type { PatchOutcome } from './patch-request.ts'
import { standardEvent } from './standard-event.ts'
import { stateSubscriber } from './state-subscriber.ts'

export interface PolyphonyAgentConfig extends HttpAgentConfig {
  /** `…/v1/documents/{id}/ag-ui`, or `…/agents/{agent}` for runs of an agent behind the server. */
  readonly url: string
  /** The part of the document that is the state, as a JSON pointer. Default: all of it. */
  readonly pointer?: string
  /** What `runAgent` does unless it is told: stay (`watch`), or get the state and end (`sync`). Default `watch`. */
  readonly mode?: 'watch' | 'sync'
  /** Whether changes of long strings come as splices. Default true; `false` for servers that do not know them. */
  readonly splices?: boolean
  /** Delays before a connection is tried again: they double from `firstMs` (250) to `maxMs` (15,000), with jitter. */
  readonly reconnect?: { readonly firstMs?: number; readonly maxMs?: number }
  /** A connection on which nothing comes for so long, not even a comment, is given up. Default 60,000. */
  readonly silenceMs?: number
}

/** What a subscriber may listen to besides the hooks of the official client. */
export interface PolyphonySubscriber extends AgentSubscriber {
  /** An edit is stored, but others had changed what it was about. `path` is as the edit addresses it. */
  onEditConflicts?(event: {
    readonly conflicts: readonly Conflict[]
    readonly patch: SplicePatch
    readonly agent: PolyphonyAgent
  }): void
  /** An edit is refused (such as 403 for who may only read); the state is again as it is without it. */
  onEditRefused?(event: {
    readonly error: HttpError
    readonly patch: SplicePatch
    readonly agent: PolyphonyAgent
  }): void
  /** Whether events are coming in. */
  onConnectionChanged?(event: { readonly connected: boolean; readonly agent: PolyphonyAgent }): void
}

/**
 * An `HttpAgent` for a document of Polyphony. It reconnects and resumes, notices what it missed, applies a change at the
 * cost of the change, and writes: what is set with `setState` is visible at once, sent as a small patch that means what
 * was seen, and stays until the server's state contains it. `state` is frozen; what did not change stays the same object.
 */
export class PolyphonyAgent extends HttpAgent {
  declare subscribers: PolyphonySubscriber[]
  // Ordinary members, because `clone` of the official client makes objects without calling a constructor.
  private readonly options: Required<Pick<PolyphonyAgentConfig, 'pointer' | 'mode' | 'splices' | 'silenceMs'>>
  private readonly reconnect: { readonly firstMs: number; readonly maxMs: number }
  private session: AgentSession
  private shown: { readonly state: unknown; readonly version: string | undefined }
  private isConnected = false

  constructor(config: PolyphonyAgentConfig) {
    super(config)
    const { pointer = '', mode = 'watch', splices = true, silenceMs = 60_000 } = config
    this.options = { pointer, mode, splices, silenceMs }
    this.reconnect = { firstMs: 250, maxMs: 15_000, ...config.reconnect }
    this.session = this.openSession(new HeldState(this.state))
    this.shown = { state: this.state, version: undefined }
    this.show()
  }

  /** The version that `state` shows apart from edits of its own that are not confirmed; `undefined` before the first snapshot. */
  get version(): string | undefined {
    return this.shown.version
  }

  /** Whether events are coming in. */
  get connected(): boolean {
    return this.isConnected
  }

  /** Whether every edit is stored on the server. */
  get saved(): boolean {
    return !this.session.held.hasUnsaved
  }

  override subscribe(subscriber: PolyphonySubscriber): { unsubscribe: () => void } {
    return super.subscribe(subscriber)
  }

  /**
   * Makes the state into `state`. It is visible at once; what differs is sent, at any time once a state has been seen. What
   * is set before that fills in what the document lacks and overwrites nothing. `{}` in the place of more forgets what is
   * held and deletes nothing, because that is how CopilotKit begins anew; to empty a document, `patch` it.
   */
  override setState(state: State): void {
    if (this.change(state)) this.notify()
  }

  /**
   * Resolves when every edit is stored or refused and, during a run, part of the confirmed state; outside of a run also when
   * the server stays out of reach (see `saved`).
   */
  async flush(): Promise<void> {
    this.absorb()
    await this.session.flush()
  }

  /**
   * Sends a JSON Patch (it may splice strings) that was made while looking at `anchor`, by default at `version`, and
   * repeats it until its outcome is known. Resolves when it is stored and, during a run, is part of `state`. Rejects with
   * an `HttpError` when it is refused: under `policy: 'strict'` also when others have changed what it is about.
   */
  async patch(
    patch: SplicePatch,
    options: { readonly anchor?: string; readonly policy?: 'merge' | 'strict' } = {},
  ): Promise<PatchOutcome> {
    const anchor = options.anchor ?? this.version
    if (options.anchor === undefined && this.session.held.hasEdits)
      throw new TypeError(
        'The state shows edits that are not confirmed; no version names it. Await `flush()` before.',
      )
    if (anchor === undefined)
      throw new TypeError('Nothing has been seen yet that a patch could be anchored to.')
    return this.session.patch(patch, { ...options, anchor })
  }

  override clone(): PolyphonyAgent {
    const clone = super.clone() as PolyphonyAgent
    Object.assign(clone, { options: this.options, reconnect: this.reconnect, isConnected: false })
    clone.session = clone.openSession(this.session.held.copy())
    clone.show()
    return clone
  }

  override run(input: RunAgentInput): Observable<BaseEvent> {
    this.absorb()
    return this.follow(input, this.options.mode)
  }

  /** Watches the document, whatever `mode` says, until `abortRun` or `detachActiveRun`. */
  override connectAgent(
    parameters?: RunAgentParameters,
    subscriber?: AgentSubscriber,
  ): Promise<RunAgentResult> {
    // As `runAgent` does, at once, so that `abortRun` works from here on.
    this.abortController = new AbortController()
    return super.connectAgent(parameters, subscriber)
  }

  protected override connect(input: RunAgentInput): Observable<BaseEvent> {
    this.absorb()
    return this.follow(input, 'watch')
  }

  /** The official client would copy the state; this one is frozen, and is not sent once a version is known. */
  protected override prepareRunAgentInput(parameters?: RunAgentParameters): RunAgentInput {
    this.absorb()
    const { state } = this
    this.state = null
    try {
      return { ...super.prepareRunAgentInput(parameters), state }
    } finally {
      this.state = state
    }
  }

  /** The official reducer keeps messages and calls hooks; the state does not pass through it. */
  protected override apply(
    input: RunAgentInput,
    events: Observable<BaseEvent>,
    subscribers: AgentSubscriber[],
  ): Observable<AgentStateMutation> {
    const parts = {
      input,
      state: () => this.state as unknown,
      setState: (state: unknown) => this.setState(state),
      onState: () => {
        for (const subscriber of subscribers)
          void subscriber.onStateChanged?.({ state: this.state, messages: this.messages, agent: this, input })
      },
    }
    return super.apply({ ...input, state: null }, events, stateSubscriber(subscribers, parts))
  }

  /** Whoever started the run gets the error as a rejection; the official client prints it besides. */
  protected override onError(
    input: RunAgentInput,
    error: Error,
    subscribers: AgentSubscriber[],
  ): Observable<AgentStateMutation> {
    const handled: AgentStateMutation = { stopPropagation: true }
    return super.onError(input, error, [...subscribers, { onRunFailed: () => handled }]).pipe(
      map(() => {
        throw error
      }),
    )
  }

  private follow(input: RunAgentInput, defaultMode: 'watch' | 'sync'): Observable<BaseEvent> {
    const { session } = this
    const forwarded = optionsIn(input.forwardedProps)
    const mode = forwarded.mode ?? defaultMode
    // What an agent behind the server does must not be done again because a connection broke.
    const isResumable = !/\/agents\/[^/?#]+\/?(?=$|[?#])/.test(this.url)
    const stays = isResumable && mode === 'watch'
    const { pointer, splices, silenceMs } = this.options
    return documentRun({
      stays,
      isResumable,
      silenceMs,
      messages: input.messages,
      signal: this.abortController.signal,
      backoff: session.backoff(),
      // A sync run is over before it could tell of an edit that is made meanwhile.
      enter: () => (mode === 'sync' && isResumable ? () => undefined : session.enter()),
      open: async (signal) => {
        if (!stays) await session.settle()
        const { version } = session.held
        const polyphony = {
          ...forwarded,
          mode,
          pointer,
          splices,
          ...(version === undefined ? {} : { version }),
        }
        const { state, ...rest } = input
        const sent = {
          ...rest,
          ...(version === undefined ? { state: state as unknown } : {}),
          forwardedProps: { ...Object(input.forwardedProps), polyphony },
        }
        return this.fetch(this.url, { ...this.requestInit(sent), signal })
      },
      take: (change) => {
        this.absorb()
        const result = session.take(change)
        // At once, so that state and version belong together whoever asks; subscribers are called in their turn.
        if (result === 'taken') this.show()
        return result
      },
      standard: (event) => standardEvent(event, session.held.confirmed),
      onConnected: (connected) => {
        if (this.isConnected === connected) return
        this.isConnected = connected
        this.tell((subscriber) => subscriber.onConnectionChanged?.({ connected, agent: this }))
      },
    })
  }

  private openSession(held: HeldState): AgentSession {
    return new AgentSession(
      {
        pointer: this.options.pointer,
        reconnect: this.reconnect,
        target: () => ({
          url: this.url.replace(/\/(ag-ui|agents\/[^/?#]+)\/?(?=$|[?#])/, ''),
          headers: this.headers,
          fetch: (url, init) => this.fetch(url, init),
        }),
        onChanged: () => {
          this.show()
          this.notify()
        },
        onConflicts: (conflicts, patch) => {
          this.tell((subscriber) => subscriber.onEditConflicts?.({ conflicts, patch, agent: this }))
        },
        onRefused: (error, patch) => {
          this.tell((subscriber) => subscriber.onEditRefused?.({ error, patch, agent: this }))
        },
      },
      held,
    )
  }

  /** Whoever assigns `state` instead of calling `setState` means the same. */
  private absorb(): void {
    if (this.state !== this.shown.state) this.change(this.state)
  }

  private change(state: unknown): boolean {
    const before = this.shown.state
    if (isEmpty(state) && !isEmpty(this.session.held.value)) this.session.held.forget()
    else this.session.edit(state)
    this.show()
    return this.shown.state !== before
  }

  private show(): void {
    const { value: state, version } = this.session.held
    this.state = state
    this.shown = { state, version }
  }

  private notify(): void {
    const { state, messages } = this
    this.tell((subscriber) => subscriber.onStateChanged?.({ state, messages, agent: this }))
  }

  /** Calls a hook of all subscribers. One that fails is printed, as the official client does, and stops nothing. */
  private tell(call: (subscriber: PolyphonySubscriber) => unknown): void {
    for (const subscriber of this.subscribers)
      new Promise((resolve) => resolve(call(subscriber))).catch((error: unknown) => {
        console.error('A subscriber of a PolyphonyAgent failed.', error)
      })
  }
}

function isEmpty(state: unknown): boolean {
  return typeof state === 'object' && state !== null && Object.keys(state).length === 0
}

/** Our options in `forwardedProps`, which may be anything. */
function optionsIn(forwardedProps: unknown): { readonly mode?: 'watch' | 'sync' } {
  const { polyphony } = { polyphony: {}, ...Object(forwardedProps) } as { readonly polyphony: unknown }
  return { ...Object(polyphony) } as { readonly mode?: 'watch' | 'sync' }
}

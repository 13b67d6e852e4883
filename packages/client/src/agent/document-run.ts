import type { BaseEvent, RunAgentInput } from '@ag-ui/client'
import { errorTable } from '@polyphony/core'
import { Observable } from 'rxjs'
import type { Backoff } from '../backoff.ts'
import { HttpError, readEvents, requireEvents } from './event-stream.ts'
import type { TakeResult } from './held-state.ts'
import { pause } from './pause.ts'
import { StateReader, type StateChange } from './state-reader.ts'

export interface DocumentRunParts {
  /** Sends the request of the run, with the version that is held by then. */
  readonly open: (signal: AbortSignal) => Promise<Response>
  /** The messages that every such request says the client has. */
  readonly messages: RunAgentInput['messages']
  /** Called when the run begins; what it returns, when it is over. */
  readonly enter: () => () => void
  /** Takes in what the stream tells about the state. */
  readonly take: (change: StateChange) => TakeResult
  /** The event as every subscriber understands it, once its change has been taken in. */
  readonly standard: (event: BaseEvent) => BaseEvent
  /** Stay until aborted, or end with the first stream that ends properly. */
  readonly stays: boolean
  /** Whether the run may be requested again when its stream breaks. A run that does something must not be. */
  readonly isResumable: boolean
  readonly backoff: Backoff
  readonly silenceMs: number
  readonly onConnected: (connected: boolean) => void
  /** Ends the run as a run of the official client ends that is aborted. */
  readonly signal: AbortSignal
}

/**
 * One run as its subscribers see it, over as many connections as it takes: what breaks, falls silent or misses an event is
 * opened anew from the version that is held. Errors for good (HTTP 4xx, a deleted document) end it. Unsubscribing closes
 * the connection.
 */
export function documentRun(parts: DocumentRunParts): Observable<BaseEvent> {
  return new Observable<BaseEvent>((subscriber) => {
    const left = new AbortController()
    const signal = AbortSignal.any([parts.signal, left.signal])
    const leave = parts.enter()
    const deliver = async (): Promise<void> => {
      try {
        for await (const event of eventsOf(parts, signal)) {
          if (subscriber.closed) return
          subscriber.next(event)
        }
        subscriber.complete()
      } catch (error) {
        subscriber.error(error)
      } finally {
        leave()
      }
    }
    void deliver()
    return () => left.abort()
  })
}

/** How often a run that does not stay is requested before it fails. */
const attemptsMax = 6

async function* eventsOf(parts: DocumentRunParts, signal: AbortSignal): AsyncGenerator<BaseEvent> {
  const { backoff, stays, isResumable, onConnected } = parts
  let isStarted = false
  const open = new OpenStreams()
  while (!signal.aborted) {
    // The first stream tells what there is more than the request said; a later one must find the client at the same.
    let isRestored = !isStarted
    let waitMs = 0
    let cause: unknown = new Error('The stream ended before the run did.')
    try {
      for await (const event of streamOf(parts, signal)) {
        const { type } = event as { readonly type: string }
        if (type === 'RUN_STARTED' && isStarted) continue
        if (type === 'RUN_FINISHED' && stays) break
        if (type === 'RUN_ERROR' && isResumable && isPassing(event)) break
        isStarted = true
        if (!isRestored && isAboutMessages(type)) {
          isRestored = true
          yield* open.closing()
          yield snapshotOf(parts.messages)
        }
        open.note(event)
        yield event
        if (type === 'RUN_FINISHED' || type === 'RUN_ERROR') return
      }
    } catch (error) {
      if (signal.aborted) break
      if (!isResumable || !mayPass(error)) throw error
      cause = error
      waitMs = error instanceof HttpError ? (error.retryAfterMs ?? 0) : 0
    } finally {
      onConnected(false)
    }
    if (!isResumable || (!stays && backoff.attempts >= attemptsMax)) throw cause
    await pause(Math.max(waitMs, backoff.next()), signal)
  }
  yield { type: 'RUN_ERROR', message: 'The run was aborted.', code: 'abort' } as unknown as BaseEvent
}

/** The texts and tool calls that a stream has begun. What a broken one leaves open would be begun twice by the next. */
class OpenStreams {
  readonly #open = new Map<string, BaseEvent>()

  note(event: BaseEvent): void {
    const { type, messageId, toolCallId } = event as BaseEvent & Readonly<Record<string, string | undefined>>
    const match = /^(TEXT_MESSAGE|REASONING_MESSAGE|TOOL_CALL)_(START|END)$/.exec(type)
    if (match === null) return
    const [, kind = '', edge] = match
    const key = [kind, messageId ?? toolCallId].join(' ')
    const end = { type: `${kind}_END`, ...(kind === 'TOOL_CALL' ? { toolCallId } : { messageId }) }
    if (edge === 'START') this.#open.set(key, end as unknown as BaseEvent)
    else this.#open.delete(key)
  }

  *closing(): Generator<BaseEvent> {
    yield* this.#open.values()
    this.#open.clear()
  }
}

function isAboutMessages(type: string): boolean {
  return /^(?:TEXT_MESSAGE|TOOL_CALL|REASONING|ACTIVITY|MESSAGES)_/.test(type)
}

/** Leaves the client with these messages, in this order, and no others. */
function snapshotOf(messages: RunAgentInput['messages']): BaseEvent {
  const metadata = { '@ag-ui/client': { authoritativeActivityTypes: null } }
  return { type: 'MESSAGES_SNAPSHOT', messages, metadata } as unknown as BaseEvent
}

/** The events of one connection, as long as each follows what is held. */
async function* streamOf(parts: DocumentRunParts, signal: AbortSignal): AsyncGenerator<BaseEvent> {
  const { open, take, standard, isResumable, backoff, silenceMs, onConnected } = parts
  const response = await open(signal)
  await requireEvents(response)
  const reader = new StateReader()
  for await (const event of readEvents(response, silenceMs)) {
    const change = reader.read(event)
    if (change === undefined) {
      if ((event as { readonly type: string }).type === 'RUN_STARTED') onConnected(true)
      yield event
      continue
    }
    if (change === 'partial') continue
    const result = change === 'gap' ? 'gap' : take(change)
    if (result === 'gap') {
      // A run that cannot be opened anew goes on without; the next snapshot is as good.
      if (isResumable) return
      continue
    }
    if (result === 'known') continue
    // What was taken in is progress; a stream that always ends after what is known is none.
    backoff.reset()
    yield standard(event)
  }
}

/** Whether coming back helps. An expired token may have been replaced; if not, the next answer is HTTP 401. */
function isPassing(event: BaseEvent): boolean {
  const { code } = event as { readonly code?: string }
  if (code === undefined) return false
  if (code === 'unauthorized') return true
  return Object.hasOwn(errorTable, code) && errorTable[code as keyof typeof errorTable].retry
}

/** Whether a request that failed so may succeed later; `fetch` reports a missing connection as a TypeError. */
function mayPass(error: unknown): boolean {
  return !(error instanceof HttpError) || error.isPassing
}

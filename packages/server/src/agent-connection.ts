import { isPolyphonyError, PolyphonyError, type Clock, type Limits } from '@polyphony/core'
import { createParser } from 'eventsource-parser'
import type { AgentOptions } from './agent-options.ts'

export interface AgentRequest {
  readonly agent: AgentOptions
  /** A `RunAgentInput`. */
  readonly input: unknown
  /** Aborted with the error that the run is to end with. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly limits: Pick<Limits, 'agentEventBytesMax'>
}

/**
 * Asks an agent to run and yields what it sends, event by event, as JSON values. Ends when its stream ends. Throws
 * `agent-failed` when it cannot be reached, refuses, or sends what is not a stream of JSON events; `agent-timeout` when
 * it takes too long; and what `signal` was aborted with.
 */
export async function* agentEvents({
  agent,
  input,
  signal,
  clock,
  limits,
}: AgentRequest): AsyncGenerator<unknown, void> {
  const watch = new Watchdog(clock, signal)
  watch.total(agent.timeoutMs ?? 600_000)
  try {
    watch.expect('an answer', agent.connectTimeoutMs ?? 30_000)
    const response = await fetch(agent.url, {
      method: 'POST',
      headers: {
        ...agent.headers,
        accept: 'text/event-stream',
        'content-type': 'application/json',
      },
      body: JSON.stringify(input),
      redirect: 'error',
      signal: watch.signal,
    })
    const body = requireStream(response)
    const texts: string[] = []
    const parser = createParser({ onEvent: ({ data }) => texts.push(data) })
    const decoder = new TextDecoder()
    const silenceMs = agent.idleTimeoutMs ?? 120_000
    let unended = 0
    watch.expect('the next event', silenceMs)
    for await (const piece of body) {
      watch.expect('the next event', silenceMs)
      const text = decoder.decode(piece, { stream: true })
      parser.feed(text)
      const end = Math.max(text.lastIndexOf('\n\n'), text.lastIndexOf('\r\n\r\n'))
      unended = end < 0 ? (texts.length > 0 ? 0 : unended) + text.length : text.length - end
      for (const data of texts.splice(0)) yield parse(data)
      if (unended > limits.agentEventBytesMax) {
        throw new PolyphonyError('agent-failed', 'The agent sent an event that is too large.', {
          limit: 'agentEventBytesMax',
        })
      }
    }
  } catch (error) {
    throw watch.reason ?? failure(error)
  } finally {
    watch.end()
  }
}

function requireStream(response: Response): ReadableStream<Uint8Array> {
  const type = response.headers.get('content-type') ?? ''
  if (!response.ok) throw failed(`The agent answered ${response.status}.`)
  if (!/^text\/event-stream\b/i.test(type) || response.body === null) {
    throw failed(`The agent answered with "${type.slice(0, 100)}" instead of text/event-stream.`)
  }
  return response.body
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data) as unknown
  } catch (error) {
    throw new PolyphonyError('agent-failed', 'The agent sent an event that is not JSON.', { cause: error })
  }
}

function failure(error: unknown): PolyphonyError {
  if (isPolyphonyError(error)) return error
  // The reason of a failed fetch is its cause; the address in it is none of the caller's business.
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const code =
    typeof cause === 'object' && cause !== null && 'code' in cause ? ` (${String(cause.code)})` : ''
  return new PolyphonyError('agent-failed', `The connection to the agent failed${code}.`, { cause: error })
}

function failed(message: string): PolyphonyError {
  return new PolyphonyError('agent-failed', message)
}

/** Ends what takes too long, and what the caller gives up. */
class Watchdog {
  readonly #clock: Clock
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal
  readonly #onAbort: () => void
  #cancelTotal: () => void = () => undefined
  #cancelStep: () => void = () => undefined
  reason: PolyphonyError | undefined

  constructor(clock: Clock, outer: AbortSignal) {
    this.#clock = clock
    this.#outer = outer
    this.#onAbort = () => this.#abort(failure(outer.reason))
    if (outer.aborted) this.#onAbort()
    else outer.addEventListener('abort', this.#onAbort)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  total(ms: number): void {
    this.#cancelTotal = this.#clock.after(ms, () => this.#timeOut('the end of the run', ms))
  }

  /** Waits for something from now on, and for what it waited for before no more. */
  expect(what: string, ms: number): void {
    this.#cancelStep()
    this.#cancelStep = this.#clock.after(ms, () => this.#timeOut(what, ms))
  }

  end(): void {
    this.#cancelTotal()
    this.#cancelStep()
    this.#outer.removeEventListener('abort', this.#onAbort)
    // Also when whoever reads has had enough.
    this.#controller.abort()
  }

  #timeOut(what: string, ms: number): void {
    this.#abort(new PolyphonyError('agent-timeout', `Waited ${ms} ms for ${what} of the agent in vain.`))
  }

  #abort(reason: PolyphonyError): void {
    this.reason ??= reason
    this.#controller.abort(reason)
  }
}

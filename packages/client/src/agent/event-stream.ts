import type { BaseEvent } from '@ag-ui/client'
import { createParser } from 'eventsource-parser'

/** An answer other than 2xx; `status` and `payload` as in the errors of the official client. */
export class HttpError extends Error {
  readonly status: number
  readonly payload: unknown
  /** The stable code that a Polyphony server gives. */
  readonly code: string | undefined
  /** What the server asks to wait before the next attempt. */
  readonly retryAfterMs: number | undefined

  constructor(status: number, payload: unknown, retryAfterMs?: number) {
    super(`HTTP ${status}: ${typeof payload === 'string' ? payload : JSON.stringify(payload)}`)
    this.name = 'HttpError'
    this.status = status
    this.payload = payload
    this.retryAfterMs = retryAfterMs
    const { code } = { code: undefined, ...Object(payload) } as { readonly code: unknown }
    this.code = typeof code === 'string' ? code : undefined
  }

  /** Whether the same request may succeed later. */
  get isPassing(): boolean {
    return this.status === 408 || this.status === 429 || this.status >= 500
  }
}

/** Reads the error that an answer carries. */
export async function readHttpError(response: Response): Promise<HttpError> {
  const text = await response.text()
  const seconds = Number(response.headers.get('retry-after') ?? NaN)
  return new HttpError(response.status, parsed(text), seconds >= 0 ? seconds * 1_000 : undefined)
}

/** Throws an `HttpError` unless the answer is an event stream: a refusal, or the page of a proxy or a login. */
export async function requireEvents(response: Response): Promise<void> {
  if (!response.ok) throw await readHttpError(response)
  const type = response.headers.get('content-type') ?? 'nothing'
  if (/^text\/event-stream\b/i.test(type)) return
  await response.body?.cancel()
  throw new HttpError(response.status, `The answer is ${type}, not an event stream.`)
}

/**
 * The AG-UI events of a `text/event-stream`. Ends where the stream ends. Rejects when the connection breaks, or after
 * `silenceMs` without even a comment: such a connection is dead, though nobody has said so. Leaving the loop cancels the
 * request.
 */
export async function* readEvents(response: Response, silenceMs: number): AsyncGenerator<BaseEvent> {
  if (response.body === null) return
  const events: BaseEvent[] = []
  const parser = createParser({ onEvent: ({ data }) => events.push(parseEvent(data)) })
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  try {
    for (;;) {
      const { done, value } = await unlessSilent(reader.read(), silenceMs)
      if (done) return
      parser.feed(decoder.decode(value, { stream: true }))
      yield* events.splice(0)
    }
  } finally {
    // The connection may be broken already; there is nobody left whom that would help.
    await reader.cancel().catch(() => undefined)
  }
}

function parseEvent(data: string): BaseEvent {
  const event: unknown = JSON.parse(data)
  if (typeof event === 'object' && event !== null && 'type' in event && typeof event.type === 'string')
    return event as BaseEvent
  throw new TypeError('A frame of the event stream is not an AG-UI event.')
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Rejects when `promise` takes longer than `ms`. */
async function unlessSilent<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`The server has been silent for ${ms} ms.`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

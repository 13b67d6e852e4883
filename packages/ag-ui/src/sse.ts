const encoder = new TextEncoder()

export interface SseEvent {
  /** JSON text: one line, because JSON escapes line ends. */
  readonly data: string
  /** What an `EventSource` sends back as `Last-Event-ID`. Empty: it forgets what it had and sends none. */
  readonly id?: string | undefined
  /** Name of the event for `EventSource`; AG-UI clients ignore it. */
  readonly event?: string | undefined
}

/** One frame of a `text/event-stream`. Lines end in LF alone: the official AG-UI client splits on nothing else. */
export function encodeSse({ data, id, event }: SseEvent): Uint8Array {
  const head = `${event === undefined ? '' : `event: ${event}\n`}${id === undefined ? '' : `id: ${id}\n`}`
  return encoder.encode(`${head}data: ${data}\n\n`)
}

/** A comment keeps proxies and clients from giving up on a silent stream; every reader skips it. */
export const sseKeepAlive: Uint8Array = encoder.encode(': keep-alive\n\n')

/** Tells an `EventSource` how long to wait before it connects again. */
export function encodeSseRetry(ms: number): Uint8Array {
  return encoder.encode(`retry: ${Math.round(ms)}\n\n`)
}

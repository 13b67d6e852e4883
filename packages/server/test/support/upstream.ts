import type { BaseEvent } from '@ag-ui/client'
import { EventEncoder } from '@ag-ui/encoder'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What an upstream agent was asked. */
export interface UpstreamInput {
  readonly threadId: string
  readonly runId: string
  readonly state: unknown
  readonly messages: readonly { readonly id: string; readonly role: string; readonly content?: unknown }[]
  readonly tools: readonly unknown[]
  readonly context: readonly unknown[]
  readonly forwardedProps: unknown
}

/** One request to the upstream agent, answered event by event. */
export interface UpstreamRun {
  readonly input: UpstreamInput
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Whether whoever asked has gone. */
  readonly isGone: () => boolean
  send(...events: readonly object[]): void
  start(): void
  finish(more?: object): void
}

export interface Upstream {
  readonly url: string
  readonly runs: UpstreamRun[]
  close(): Promise<void>
}

/** An AG-UI agent over HTTP that does what `behave` says with each request, and writes as the official encoder does. */
export async function startUpstream(behave: (run: UpstreamRun) => unknown): Promise<Upstream> {
  const runs: UpstreamRun[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (piece: string) => (body += piece))
    request.on('end', () => {
      const input = JSON.parse(body) as UpstreamInput
      let isGone = false
      response.on('close', () => (isGone = true))
      const ids = { threadId: input.threadId, runId: input.runId }
      const encoder = new EventEncoder({ accept: request.headers.accept ?? '' })
      const send = (...events: readonly object[]): void => {
        if (!response.headersSent) response.writeHead(200, { 'content-type': encoder.getContentType() })
        for (const event of events) response.write(encoder.encodeBinary(event as BaseEvent))
      }
      const run: UpstreamRun = {
        input,
        request,
        response,
        isGone: () => isGone,
        send,
        start: () => send({ type: 'RUN_STARTED', ...ids }),
        finish: (more = {}) => {
          send({ type: 'RUN_FINISHED', ...ids, ...more })
          response.end()
        },
      }
      runs.push(run)
      void behave(run)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    runs,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

export const text = {
  start: (messageId: string) => ({ type: 'TEXT_MESSAGE_START', messageId, role: 'assistant' }),
  content: (messageId: string, delta: string) => ({ type: 'TEXT_MESSAGE_CONTENT', messageId, delta }),
  end: (messageId: string) => ({ type: 'TEXT_MESSAGE_END', messageId }),
}

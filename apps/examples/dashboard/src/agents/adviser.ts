import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Greenhouse } from '../greenhouse.ts'

interface RunInput {
  readonly threadId: string
  readonly runId: string
  readonly state: Greenhouse
  readonly messages: readonly { readonly role: string; readonly content?: unknown }[]
}

/** A running adviser. */
export interface Adviser {
  readonly url: string
  close(): void
}

/**
 * An AG-UI agent over HTTP, as a framework would serve one, without a model: it looks up the beds by a tool call, says
 * what it sees word by word, and acknowledges nothing by itself. It knows nothing of Polyphony; the gateway runs it.
 *
 * @param pauseMs between two words
 */
export async function startAdviser(pauseMs: number): Promise<Adviser> {
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (piece: string) => (body += piece))
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      void answer(JSON.parse(body) as RunInput, response, pauseMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function answer(input: RunInput, response: ServerResponse, pauseMs: number): Promise<void> {
  const { threadId, runId, state } = input
  const send = (event: object): void => void response.write(`data: ${JSON.stringify(event)}\n\n`)
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pauseMs))
  const [messageId, toolCallId] = [`answer-${runId}`, `call-${runId}`]
  send({ type: 'RUN_STARTED', threadId, runId })
  send({ type: 'STEP_STARTED', stepName: 'look' })
  send({ type: 'TOOL_CALL_START', toolCallId, toolCallName: 'read_beds', parentMessageId: messageId })
  for (const delta of ['{"above":', `${state.limit}`, '}']) {
    send({ type: 'TOOL_CALL_ARGS', toolCallId, delta })
    await pause()
  }
  send({ type: 'TOOL_CALL_END', toolCallId })
  await pause()
  const warm = Object.values(state.beds).filter(({ celsius }) => celsius > state.limit)
  const found = warm.map(({ name, celsius }) => `${name} ${celsius} °C`).join(', ')
  const content = found === '' ? 'none' : found
  send({ type: 'TOOL_CALL_RESULT', messageId: `result-${runId}`, toolCallId, content, role: 'tool' })
  send({ type: 'STEP_FINISHED', stepName: 'look' })
  send({ type: 'TEXT_MESSAGE_START', messageId, role: 'assistant' })
  for (const delta of adviceOn(state).split(/(?<= )/)) {
    if (response.destroyed) return
    send({ type: 'TEXT_MESSAGE_CONTENT', messageId, delta })
    await pause()
  }
  send({ type: 'TEXT_MESSAGE_END', messageId })
  send({ type: 'RUN_FINISHED', threadId, runId })
  response.end()
}

function adviceOn({ beds, limit }: Greenhouse): string {
  const sorted = Object.values(beds).toSorted((a, b) => b.celsius - a.celsius)
  const [warmest] = sorted
  const coolest = sorted.at(-1)
  if (warmest === undefined || coolest === undefined) return 'There are no beds yet.'
  const warm = sorted.filter(({ celsius }) => celsius > limit)
  const verdict =
    warm.length === 0
      ? `All beds are within your limit of ${limit} degrees. Nothing needs doing now.`
      : `${warm.map(({ name }) => name).join(' and ')} ${warm.length === 1 ? 'needs' : 'need'} air: open the roof above, and water after sunset.`
  return `${verdict} The warmest are the ${warmest.name.toLowerCase()} at ${warmest.celsius} degrees, the coolest the ${coolest.name.toLowerCase()} at ${coolest.celsius}.`
}

import { setTimeout } from 'node:timers/promises'
import { createPolyphonyServer, type PolyphonyServer } from '@polyphony/server'
import { MemoryStore } from '@polyphony/storage'
import { startAdviser } from './agents/adviser.ts'
import { GreenhouseDocument } from './agents/document.ts'
import { measure } from './agents/gauge.ts'
import { guard } from './agents/warden.ts'
import { documentId, emptyGreenhouse } from './greenhouse.ts'

/** A running greenhouse: the server with the page, and its three agents. */
export interface RunningGreenhouse {
  readonly server: PolyphonyServer
  close(): Promise<void>
}

export interface GreenhouseOptions {
  /** The directory of the built page. */
  readonly site: string
  readonly port: number
  /** From one measurement to the next, and from one look at the limit to the next. Default 1,000. */
  readonly roundMs?: number | undefined
  /** Between two words of the adviser. Default 60. */
  readonly wordMs?: number | undefined
  readonly onError?: ((error: unknown) => void) | undefined
}

/** Starts everything in one process. The document lives in memory. */
export async function startGreenhouse(options: GreenhouseOptions): Promise<RunningGreenhouse> {
  const { site, port, roundMs = 1_000, wordMs = 60, onError = () => undefined } = options
  const adviser = await startAdviser(wordMs)
  const server = await createPolyphonyServer({
    store: new MemoryStore(),
    port,
    site,
    agents: { adviser: { url: adviser.url, documents: [documentId] } },
  })
  const address = `${server.url}/v1/documents/${documentId}`
  const created = await fetch(address, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(emptyGreenhouse),
  })
  if (!created.ok) throw new Error(`The greenhouse could not be built: ${created.status}`)
  const document = new GreenhouseDocument(address)
  const rounds = [
    every(roundMs, () => measure(document, () => (Math.random() - 0.48) * 0.9), onError),
    every(roundMs / 2, () => guard(document), onError),
  ]
  return {
    server,
    async close() {
      await Promise.all(rounds.map((stop) => stop()))
      adviser.close()
      await server.close()
    },
  }
}

/** Does something again and again, one after the other. Returns how to stop, which waits for what is under way. */
function every(
  ms: number,
  task: () => Promise<void>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const stop = new AbortController()
  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await task().catch(onError)
      await setTimeout(ms, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }
  const done = run()
  return async () => {
    stop.abort()
    await done
  }
}

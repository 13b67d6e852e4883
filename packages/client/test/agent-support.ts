import { expect, vi } from 'vitest'
import { until } from '../../server/test/support/editor.ts'
import { send, startServer, type TestServer, type TestServerOptions } from '../../server/test/support/http.ts'
import { PolyphonyAgent, type PolyphonyAgentConfig } from '../src/agent/index.ts'

export { ignoreStrayRejections } from '../../server/test/support/agents.ts'
export { openEditor, synced, until } from '../../server/test/support/editor.ts'
export { send, startServer, type TestServer } from '../../server/test/support/http.ts'
export { startProxy } from '../../server/test/support/tcp-proxy.ts'

/** Keeps out what the official client prints about every broken connection; returns how to let it in again. */
export function silenceConsole(): () => void {
  const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'warn')]
  for (const spy of printed) spy.mockImplementation(() => undefined)
  return () => printed.forEach((spy) => spy.mockRestore())
}

/** What a test opens, and closes again in the opposite order. */
export class Bench {
  readonly #cleanups: (() => unknown)[] = []

  onClose(task: () => unknown): void {
    this.#cleanups.push(task)
  }

  async close(): Promise<void> {
    for (const cleanup of this.#cleanups.splice(0).toReversed()) await cleanup()
  }

  async server(options: TestServerOptions = {}): Promise<TestServer> {
    const server = await startServer(options)
    this.onClose(() => server.close())
    return server
  }

  agent(url: string, config: Partial<PolyphonyAgentConfig> = {}): PolyphonyAgent {
    return new PolyphonyAgent({ url, reconnect: { firstMs: 20, maxMs: 100 }, ...config })
  }

  /** An agent that watches, once it has a state. */
  async watch(url: string, config: Partial<PolyphonyAgentConfig> = {}): Promise<PolyphonyAgent> {
    const agent = this.agent(url, config)
    const done = agent.connectAgent()
    this.onClose(async () => {
      agent.abortRun()
      await done
    })
    await until('the first state', () => agent.version !== undefined)
    return agent
  }
}

export async function stateOf(server: TestServer, documentId: string): Promise<unknown> {
  const { status, body } = await send('GET', server.address(documentId))
  expect(status).toBe(200)
  return body
}

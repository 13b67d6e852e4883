import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '@polyphony/test-services'

const cli = join(
  dirname(createRequire(import.meta.url).resolve('@polyphony/cli/package.json')),
  'dist',
  'cli.js',
)
const startTimeoutMs = 30_000

/** One `polyphony serve` on the Redis that all nodes share. */
export class ServerNode {
  readonly url: string
  readonly #args: readonly string[]
  #child: ChildProcess | undefined

  private constructor(port: number, store: string, prefix: string) {
    this.url = `http://127.0.0.1:${port}`
    this.#args = [
      cli,
      'serve',
      '--port',
      `${port}`,
      '--store',
      store,
      '--redis-prefix',
      prefix,
      '--log-level',
      'error',
    ]
  }

  /** Rejects with what it said when it does not come up. */
  static async start(store: string, prefix: string): Promise<ServerNode> {
    const node = new ServerNode(await findFreePort(), store, prefix)
    await node.restart()
    return node
  }

  /** Resolves once it is ready. */
  async restart(): Promise<void> {
    const child = spawn(process.execPath, this.#args, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2_000)
    })
    for (const deadline = performance.now() + startTimeoutMs; !(await this.#isReady()); await sleep(20)) {
      if (child.exitCode === null && performance.now() < deadline) continue
      await this.kill()
      throw new Error(`A node does not start: ${said.trim() || `exit code ${child.exitCode}`}`)
    }
  }

  /** SIGKILL: no goodbye. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async #isReady(): Promise<boolean> {
    const response = await fetch(`${this.url}/readyz`).catch(() => undefined)
    return response?.ok === true
  }
}

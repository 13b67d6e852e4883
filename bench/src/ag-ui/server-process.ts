import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../../apps/server/dist/cli.js', import.meta.url))
const pinger = fileURLToPath(new URL('./pinger.js', import.meta.url))

/** What was seen of a server from outside while something was done to it. */
export interface Observation {
  /** The longest that another document's writer waited for an acknowledgement. */
  readonly worstStallMs: number
  /** Resident memory at its highest, above what it was before. */
  readonly extraBytes: number
}

/** A server as a process of its own, and beside it a client that keeps writing to another document. */
export class ServerProcess {
  readonly url: string
  readonly #server: ChildProcess
  readonly #pinger: ChildProcess

  private constructor(url: string, server: ChildProcess, pingerProcess: ChildProcess) {
    this.url = url
    this.#server = server
    this.#pinger = pingerProcess
  }

  /** Starts it on a store; resolves once it answers and the other document's client is connected. */
  static async start(store: string): Promise<ServerProcess> {
    const port = await freePort()
    const args = [cli, 'serve', '--port', `${port}`, '--store', store, '--log-level', 'warn']
    const server = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
    const url = `http://127.0.0.1:${port}`
    await untilReady(url, server)
    const pingerProcess = fork(pinger, [`${url.replace('http', 'ws')}/sync/other`])
    await once(pingerProcess, 'message')
    return new ServerProcess(url, server, pingerProcess)
  }

  /** Does `task` and observes the server meanwhile. */
  async observe<T>(task: () => Promise<T>): Promise<T & Observation> {
    await this.#longestWaitMs()
    const before = await this.#residentBytes()
    let peak = before
    const sampling = setInterval(() => {
      void this.#residentBytes().then((bytes) => (peak = Math.max(peak, bytes)))
    }, 10)
    const result = await task()
    clearInterval(sampling)
    peak = Math.max(peak, await this.#residentBytes())
    return { ...result, worstStallMs: await this.#longestWaitMs(), extraBytes: peak - before }
  }

  async stop(): Promise<void> {
    for (const child of [this.#pinger, this.#server]) {
      if (child.exitCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  }

  async #longestWaitMs(): Promise<number> {
    this.#pinger.send('report')
    const [longest] = (await once(this.#pinger, 'message')) as [number]
    return longest
  }

  async #residentBytes(): Promise<number> {
    const statm = await readFile(`/proc/${this.#server.pid}/statm`, 'utf8')
    return Number(statm.split(' ')[1]) * 4_096
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function untilReady(url: string, server: ChildProcess): Promise<void> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (server.exitCode !== null) throw new Error(`The server ended with code ${server.exitCode}`)
    const isReady = await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('The server does not become ready')
}

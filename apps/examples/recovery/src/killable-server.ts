import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contender.ts'

const startTimeoutMs = 30_000

/** A server as a process of its own, always on the same port, so that clients find it again. */
export class KillableServer {
  readonly #contender: Contender
  readonly #port: number
  #child: ChildProcess | undefined

  private constructor(contender: Contender, port: number) {
    this.#contender = contender
    this.#port = port
  }

  /** Starts it for the first time, on a port that is free. Rejects with what it said when it does not come up. */
  static async start(contender: Contender): Promise<KillableServer> {
    const server = new KillableServer(contender, await findFreePort())
    await server.restart()
    return server
  }

  /** The address that providers take. */
  get url(): string {
    return `ws://127.0.0.1:${this.#port}${this.#contender.path}`
  }

  /** Starts it again on the same data. Resolves once it listens, with how long that took. */
  async restart(): Promise<number> {
    const { args, env } = this.#contender.command(this.#port)
    const startedAt = performance.now()
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = child
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2_000)
    })
    while (!(await accepts(this.#port))) {
      if (child.exitCode !== null || performance.now() - startedAt > startTimeoutMs) {
        await this.kill()
        throw new Error(
          `${this.#contender.title} does not start: ${said.trim() || `exit code ${child.exitCode}`}`,
        )
      }
      await sleep(10)
    }
    return performance.now() - startedAt
  }

  /** SIGKILL: no goodbye, nothing is written any more. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const end = (accepted: boolean): void => {
      socket.destroy()
      resolve(accepted)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port)
        else reject(new Error('The operating system gave no port.'))
      })
    })
  })
}

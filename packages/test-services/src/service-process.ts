import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** Whom a server runs as, when not as ourselves. */
export interface SystemUser {
  readonly uid: number
  readonly gid: number
}

export interface ServiceCommand {
  readonly program: string
  readonly args: readonly string[]
  readonly user?: SystemUser | undefined
  /** Resolves once the server answers; called again and again until it does. */
  readonly probe: () => Promise<boolean>
}

const startTimeoutMs = 60_000

// Outlives us by the blink of an eye: when our end of its input closes, however we died, it kills and removes.
const watchdogScript =
  'cat >/dev/null; kill -KILL "$(cat "$1/watched.pid")" 2>/dev/null; sleep 0.2; rm -rf "$1"'

/**
 * A server process with a temporary folder. Both are gone after `stop`, and also when the test process ends without it,
 * be it by `kill -9`.
 */
export class ServiceProcess {
  /** Exists until `stop`; the server's data belong in it. */
  readonly folder: string
  readonly #watchdog: ChildProcess
  readonly #user: SystemUser | undefined
  #child: ChildProcess | undefined
  #command: ServiceCommand | undefined
  #paused: readonly number[] = []

  constructor(name: string, user?: SystemUser) {
    this.#user = user
    this.folder = mkdtempSync(join(tmpdir(), `polyphony-${name}-`))
    chmodSync(this.folder, 0o700)
    if (user !== undefined) chownSync(this.folder, user.uid, user.gid)
    this.#watchdog = spawn('/bin/sh', ['-c', watchdogScript, 'watchdog', this.folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    })
    this.#watchdog.unref()
  }

  /** What the server wrote to its standard output and error since it was last started. */
  get output(): string {
    return readFileSync(this.#logPath, 'utf8')
  }

  /** The process id of the server. Throws when it does not run. */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('The server does not run.')
    return pid
  }

  /** Starts the server and waits until it answers. A server that ends meanwhile is tried again until the time is up. */
  async start(command: ServiceCommand): Promise<void> {
    this.#command = command
    const deadline = Date.now() + startTimeoutMs
    for (;;) {
      const child = this.#spawn(command)
      while (child.exitCode === null && child.signalCode === null) {
        if (await command.probe()) return
        if (Date.now() > deadline) break
        await sleep(20)
      }
      if (Date.now() > deadline || this.#child !== child) {
        throw new Error(`${command.program} did not answer within ${startTimeoutMs} ms:\n${this.output}`)
      }
      // After a kill the port or shared memory may be held for a moment by what the server left.
      await sleep(100)
    }
  }

  /** `kill -9`; settles once the process is gone. The data stay. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined) return
    const descendants = await this.#descendants()
    await this.#end(child, 'SIGKILL')
    // What the server had forked ends by itself when it finds the server gone; a paused one cannot.
    for (const pid of descendants) signal(pid, 'SIGKILL')
    this.#paused = []
  }

  /** Starts it again on the same data. */
  async restart(): Promise<void> {
    if (this.#command === undefined) throw new Error('The server was never started.')
    await this.kill()
    await this.start(this.#command)
  }

  /** SIGSTOP to the server and everything it forked: connections stay open and nothing answers. */
  async pause(): Promise<void> {
    this.#paused = [this.pid, ...(await this.#descendants())]
    for (const pid of this.#paused) signal(pid, 'SIGSTOP')
  }

  async resume(): Promise<void> {
    for (const pid of this.#paused) signal(pid, 'SIGCONT')
    this.#paused = []
  }

  /** Kills the server and removes its folder. Harmless when called twice. */
  async stop(): Promise<void> {
    await this.kill()
    this.#child = undefined
    if (this.#watchdog.exitCode === null) this.#watchdog.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  }

  get #logPath(): string {
    return join(this.folder, 'server.log')
  }

  #spawn({ program, args }: ServiceCommand): ChildProcess {
    const child = spawn('/bin/sh', ['-c', 'exec "$0" "$@" >"$LOG" 2>&1', program, ...args], {
      cwd: this.folder,
      env: { ...process.env, LOG: this.#logPath, LC_ALL: 'C' },
      stdio: 'ignore',
      ...this.#user,
    })
    child.unref()
    this.#child = child
    writeFileSync(join(this.folder, 'watched.pid'), String(child.pid ?? ''))
    return child
  }

  async #end(child: ChildProcess, how: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.ref()
    child.kill(how)
    await exited
  }

  /** The process ids of what the server forked. */
  async #descendants(): Promise<readonly number[]> {
    const parent = this.#child?.pid
    if (parent === undefined) return []
    const listing = await run('ps', ['-eo', 'pid=,ppid='])
    return listing
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []))
  }
}

/** Runs a program to its end. Resolves with what it printed, rejects when it fails. */
export function run(program: string, args: readonly string[], user?: SystemUser): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', ...user })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${program} ${args.join(' ')} ended with ${code}: ${errors || output}`))
    })
  })
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It is gone already.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

export interface RunningServer {
  readonly url: string
  readonly pid: number
  /** Every line of its log so far. */
  readonly lines: readonly string[]
  /** SIGKILL: no goodbye, no flush. */
  kill(): Promise<void>
  /** SIGTERM; resolves with the exit code. Saying it again to a process that is gone does nothing. */
  terminate(): Promise<number | null>
}

/**
 * The built server as a process of its own (`pnpm build` first), on any free port unless told otherwise; resolves once
 * it listens.
 */
export async function startServer(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  command: 'serve' | 'demo' = 'serve',
): Promise<RunningServer> {
  const port = args.includes('--port') ? [] : ['--port', '0']
  const child = spawn(process.execPath, [cli, command, ...port, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const errors: string[] = []
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()))
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) =>
      reject(new Error(`The server ended with code ${code}: ${errors.join('')}${lines.join('\n')}`)),
    )
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line)
      const entry = line.startsWith('{') ? (JSON.parse(line) as { msg?: string; url?: string }) : {}
      if (entry.msg === 'listening' && entry.url !== undefined) resolve(entry.url)
    })
  })
  child.removeAllListeners('exit')
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return {
    url,
    pid: child.pid ?? 0,
    lines,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
    terminate() {
      child.kill('SIGTERM')
      return exited
    },
  }
}

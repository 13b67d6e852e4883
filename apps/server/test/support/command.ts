import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

/** How a command ended, and what it said. */
export interface EndedCommand {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export interface RunningCommand {
  readonly process: ChildProcess
  readonly ended: Promise<EndedCommand>
}

/** The built command line as a process of its own (`pnpm build` first). */
export function startCommand(args: readonly string[]): RunningCommand {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const ended = new Promise<EndedCommand>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, out, err }))
  })
  return { process: child, ended }
}

/** Runs it to its end. */
export function runCommand(args: readonly string[]): Promise<EndedCommand> {
  return startCommand(args).ended
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const peerNames = [
  'relay',
  'y-websocket',
  'y-websocket+leveldb',
  'polyphony',
  'polyphony-nofsync',
  'polyphony-memory',
  'sse-relay',
] as const
export type PeerName = (typeof peerNames)[number]

export interface Peer {
  readonly name: PeerName
  /** Address of a room, to which its name is appended. */
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

const require = createRequire(import.meta.url)
const cli = fileURLToPath(new URL('../../../apps/server/dist/cli.js', import.meta.url))
const relay = fileURLToPath(new URL('./relay.js', import.meta.url))
const sseRelay = fileURLToPath(new URL('../ag-ui/sse-relay.js', import.meta.url))

/**
 * Starts a peer as a process of its own, on the first CPU, with a fresh data directory, and waits until it listens.
 *
 * @param more further arguments of its command
 */
export async function startPeer(name: PeerName, more: readonly string[] = []): Promise<Peer> {
  const port = await freePort()
  const directory = await mkdtemp(join(tmpdir(), 'polyphony-bench-'))
  const { command, env, path } = launch(name, port, directory)
  const child = spawn('taskset', ['-c', '0', process.execPath, ...command, ...more], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await untilListening(port, child)
  return {
    name,
    url: `ws://127.0.0.1:${port}${path}`,
    pid: child.pid ?? 0,
    async stop() {
      if (child.exitCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function launch(
  name: PeerName,
  port: number,
  directory: string,
): { command: string[]; env: NodeJS.ProcessEnv; path: string } {
  const polyphony = (store: string, ...more: string[]): string[] => [
    cli,
    'serve',
    '--port',
    `${port}`,
    '--store',
    store,
    '--log-level',
    'warn',
    ...more,
  ]
  switch (name) {
    case 'relay':
      return { command: [relay, `${port}`], env: {}, path: '/' }
    case 'y-websocket':
      return { command: [yWebsocketServer()], env: { HOST: '127.0.0.1', PORT: `${port}` }, path: '/' }
    case 'y-websocket+leveldb':
      return {
        command: [yWebsocketServer()],
        env: { HOST: '127.0.0.1', PORT: `${port}`, YPERSISTENCE: directory },
        path: '/',
      }
    case 'polyphony':
      return { command: polyphony(`level:${directory}`), env: {}, path: '/sync/' }
    case 'polyphony-nofsync':
      return { command: polyphony(`level:${directory}`, '--fsync', 'off'), env: {}, path: '/sync/' }
    case 'polyphony-memory':
      return { command: polyphony('memory:'), env: {}, path: '/sync/' }
    case 'sse-relay':
      return { command: [sseRelay, `${port}`], env: {}, path: '/' }
  }
}

function yWebsocketServer(): string {
  return join(require.resolve('y-websocket-1/package.json'), '..', 'bin', 'server.js')
}

export interface Usage {
  readonly rssBytes: number
  readonly cpuSeconds: number
}

/** Resident memory and CPU time of a process, from /proc. */
export async function usageOf(pid: number): Promise<Usage> {
  const [statm, stat] = await Promise.all([
    readFile(`/proc/${pid}/statm`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
  ])
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    rssBytes: Number(statm.split(' ')[1]) * 4096,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function untilListening(port: number, child: ChildProcess): Promise<void> {
  const { connect } = await import('node:net')
  for (const deadline = Date.now() + 20_000; Date.now() < deadline;) {
    if (child.exitCode !== null) throw new Error(`The peer ended with code ${child.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    const ok = await new Promise<boolean>((resolve) =>
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false)),
    )
    socket.destroy()
    if (ok) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('The peer does not listen')
}

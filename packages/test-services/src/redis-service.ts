import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { requireBinary } from './binaries.ts'
import { findFreePort } from './free-port.ts'
import { ServiceProcess } from './service-process.ts'

export interface RedisServiceOptions {
  /** Which of the two. Default: `POLYPHONY_TEST_REDIS_SERVER`, else Redis, else Valkey, as the machine has them. */
  readonly program?: 'redis-server' | 'valkey-server' | undefined
  /** Lines of redis.conf, over ours: an append-only file written with `appendfsync always`, no eviction. */
  readonly settings?: Readonly<Record<string, string>> | undefined
}

/** A Redis or Valkey server on the loopback interface. */
export interface RedisService {
  readonly url: string
  readonly port: number
  /** To break it with. */
  readonly process: ServiceProcess
  stop(): Promise<void>
}

/** A place to connect to, which may be somebody else's server. */
export interface ServiceAddress {
  readonly url: string
  stop(): Promise<void>
}

const defaults = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction', save: '""' }

/** The server that POLYPHONY_TEST_REDIS_URL names, else one of our own; for tests that keep to a key prefix of theirs. */
export async function findRedis(): Promise<ServiceAddress> {
  const url = process.env['POLYPHONY_TEST_REDIS_URL']
  if (url === undefined || url === '') return startRedis()
  return { url, stop: async () => undefined }
}

/** Starts a server of our own, which the test may break. */
export function startRedis(options: RedisServiceOptions = {}): Promise<RedisService> {
  return start('redis', options.program, { ...defaults, ...options.settings }, [])
}

/** Starts a Sentinel that alone decides about a failover, one second after the primary falls silent. */
export function startRedisSentinel(primary: RedisService, name: string): Promise<RedisService> {
  const settings = {
    'sentinel monitor': `${name} 127.0.0.1 ${primary.port} 1`,
    'sentinel down-after-milliseconds': `${name} 1000`,
    'sentinel failover-timeout': `${name} 5000`,
  }
  return start('sentinel', undefined, settings, ['--sentinel'])
}

async function start(
  kind: string,
  wanted: string | undefined,
  settings: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<RedisService> {
  const chosen = wanted ?? process.env['POLYPHONY_TEST_REDIS_SERVER'] ?? ''
  const program = requireBinary(...(chosen === '' ? ['redis-server', 'valkey-server'] : [chosen]))
  const port = await findFreePort()
  const server = new ServiceProcess(kind)
  // In a file, because Redis rewrites it when a replica is promoted, and reads it at a restart.
  const file = join(server.folder, `${kind}.conf`)
  const lines = Object.entries({ port, bind: '127.0.0.1', dir: server.folder, ...settings })
  writeFileSync(file, lines.map(([name, value]) => `${name} ${value}\n`).join(''))
  await server.start({ program, args: [file, ...args], probe: () => answersPing(port) })
  return { url: `redis://127.0.0.1:${port}`, port, process: server, stop: () => server.stop() }
}

/** Whether a Redis there answers PING with PONG, having loaded its data. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => finish(false))
    socket.on('data', (chunk) => finish(chunk.toString().startsWith('+PONG')))
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
  })
}

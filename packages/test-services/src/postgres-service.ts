import { connect } from 'node:net'
import { join } from 'node:path'
import { findBinary, requireBinary } from './binaries.ts'
import { findFreePort } from './free-port.ts'
import type { ServiceAddress } from './redis-service.ts'
import { run, ServiceProcess, type SystemUser } from './service-process.ts'

export interface PostgresServiceOptions {
  /** Makes it a streaming standby: begun as a copy of this primary. */
  readonly standbyOf?: PostgresService | undefined
  /** Settings of postgresql.conf; whatever is absent is the server's default, so `fsync` is on. */
  readonly settings?: Readonly<Record<string, string>> | undefined
}

/** A PostgreSQL server on the loopback interface, with the superuser `polyphony` and the database `postgres`. */
export interface PostgresService {
  readonly url: string
  readonly port: number
  /** To break it with. */
  readonly process: ServiceProcess
  /** Makes a primary of a standby; settles once it takes writes. */
  promote(): Promise<void>
  stop(): Promise<void>
}

/** The server that POLYPHONY_TEST_POSTGRES_URL names, else one of our own; for tests that keep to a schema of theirs. */
export async function findPostgres(): Promise<ServiceAddress> {
  const url = process.env['POLYPHONY_TEST_POSTGRES_URL']
  if (url === undefined || url === '') return startPostgres()
  return { url, stop: async () => undefined }
}

/** Starts a server of our own, which the test may break. */
export async function startPostgres(options: PostgresServiceOptions = {}): Promise<PostgresService> {
  const postgres = requireBinary('postgres')
  // PostgreSQL refuses to run as root.
  const user = process.getuid?.() === 0 ? await findUser('postgres', 'nobody') : undefined
  const port = await findFreePort()
  const server = new ServiceProcess('postgres', user)
  const data = join(server.folder, 'data')
  try {
    await (options.standbyOf === undefined ? initialise(data, user) : copy(options.standbyOf, data, user))
    const settings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', ...options.settings }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    await server.start({
      program: postgres,
      args: ['-D', data, '-p', String(port), ...args],
      user,
      probe: () => acceptsConnections(port),
    })
  } catch (error) {
    await server.stop()
    throw error
  }
  const url = `postgres://polyphony@127.0.0.1:${port}/postgres`
  const promote = async (): Promise<void> => {
    await run(requireBinary('pg_ctl'), ['promote', '--pgdata', data, '--wait'], user)
  }
  return { url, port, process: server, promote, stop: () => server.stop() }
}

async function initialise(data: string, user: SystemUser | undefined): Promise<void> {
  const flags = ['--username=polyphony', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  await run(requireBinary('initdb'), ['--pgdata', data, ...flags], user)
}

/** Its name for `synchronous_standby_names` is `standby`. */
async function copy(primary: PostgresService, data: string, user: SystemUser | undefined): Promise<void> {
  const source = `host=127.0.0.1 port=${primary.port} user=polyphony application_name=standby`
  const flags = ['--checkpoint=fast', '--wal-method=stream', '--write-recovery-conf', '--no-sync']
  await run(requireBinary('pg_basebackup'), ['--pgdata', data, '--dbname', source, ...flags], user)
}

/** Exported for what else refuses to run as root. */
export async function findUser(...names: readonly string[]): Promise<SystemUser> {
  const id = findBinary('id')
  for (const name of id === undefined ? [] : names) {
    try {
      const [uid, gid] = await Promise.all([run(id ?? 'id', ['-u', name]), run(id ?? 'id', ['-g', name])])
      return { uid: Number(uid), gid: Number(gid) }
    } catch (error) {
      // The next name may exist; the last one failing is told below.
      if (name === names.at(-1)) throw error
    }
  }
  throw new Error(`PostgreSQL does not run as root, and there is no user ${names.join(' or ')}.`)
}

// A startup packet for a database: a server that is starting up or recovering answers with an error, a ready one asks
// for a password or lets us in.
export function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(startupPacket()))
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => finish(false))
    socket.on('data', (chunk) => finish(chunk.toString('latin1', 0, 1) === 'R'))
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
  })
}

function startupPacket(): Buffer {
  const body = Buffer.from('user\0polyphony\0database\0postgres\0\0')
  const header = Buffer.alloc(8)
  header.writeInt32BE(body.length + 8, 0)
  header.writeInt32BE(3 << 16, 4)
  return Buffer.concat([header, body])
}

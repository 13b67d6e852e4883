import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findBinary, requireBinary } from './binaries.ts'
import { findFreePort } from './free-port.ts'
import { acceptsConnections, findUser, type PostgresService } from './postgres-service.ts'
import type { ServiceAddress } from './redis-service.ts'
import { ServiceProcess } from './service-process.ts'

/** Whether `startPgbouncer` can work. */
export function hasPgbouncer(): boolean {
  return findBinary('pgbouncer') !== undefined
}

/** A PgBouncer in front of a PostgreSQL of ours, which hands out a connection per transaction. */
export async function startPgbouncer(
  postgres: PostgresService,
  settings: Readonly<Record<string, string>> = {},
): Promise<ServiceAddress & { readonly port: number; readonly process: ServiceProcess }> {
  const program = requireBinary('pgbouncer')
  const user = process.getuid?.() === 0 ? await findUser('postgres', 'nobody') : undefined
  const port = await findFreePort()
  const server = new ServiceProcess('pgbouncer', user)
  const lines = Object.entries({
    listen_addr: '127.0.0.1',
    listen_port: String(port),
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: 'transaction',
    ignore_startup_parameters: 'statement_timeout,idle_in_transaction_session_timeout',
    ...settings,
  })
  const file = join(server.folder, 'pgbouncer.ini')
  const database = `postgres = host=127.0.0.1 port=${postgres.port} user=polyphony`
  const text = ['[databases]', database, '[pgbouncer]', ...lines.map(([name, value]) => `${name} = ${value}`)]
  writeFileSync(file, `${text.join('\n')}\n`, { mode: 0o644 })
  try {
    await server.start({ program, args: [file], user, probe: () => acceptsConnections(port) })
  } catch (error) {
    await server.stop()
    throw error
  }
  const url = `postgres://polyphony@127.0.0.1:${port}/postgres`
  return { url, port, process: server, stop: () => server.stop() }
}

import { parseConfiguration } from './configuration.ts'
import { createLog } from './log.ts'
import { readSettings, type Environment } from './option-sources.ts'
import { describeStore } from './store-location.ts'
import { runUntilStopped, startServer } from './running-server.ts'

/** Runs a server until it is told to stop. Returns the exit code. */
export async function serve(args: readonly string[], env: Environment): Promise<number> {
  const configuration = parseConfiguration(readSettings(args, env))
  const log = createLog(configuration.logLevel)
  const server = await startServer(configuration, log)
  log.info({ url: server.url, store: describeStore(configuration.store), pid: process.pid }, 'listening')
  return await runUntilStopped(server, log)
}

import { createPolyphonyServer, jwtAuthorizer, type PolyphonyServer } from '@polyphony/server'
import type { Logger } from 'pino'
import type { Configuration } from './configuration.ts'
import { stopSignal } from './signals.ts'
import { toStartError } from './start-error.ts'
import { openBus, openStore } from './store.ts'

/** How long sessions, feeds and unsaved edits get to end properly after a stop signal. */
export const stopDeadlineMs = 10_000

/** Starts a server as configured. Throws a `StartError` that says why it could not. */
export async function startServer(configuration: Configuration, log: Logger): Promise<PolyphonyServer> {
  const {
    authSecret,
    projections,
    store: location,
    storage,
    host,
    port,
    hosts,
    origins,
    limits,
    checkpoints,
    site,
    agents,
  } = configuration
  const authorize = authSecret === undefined ? undefined : jwtAuthorizer({ secret: authSecret })
  try {
    const store = await openStore(location, storage, log)
    try {
      const bus = await openBus(location, storage, log)
      const options = {
        store,
        bus,
        host,
        port,
        hosts,
        origins,
        limits,
        checkpoints,
        site,
        agents,
        authorize,
        logger: log,
      }
      return await createPolyphonyServer({ ...options, projection: projections })
    } catch (error) {
      await store.close()
      throw error
    }
  } catch (error) {
    throw toStartError(error, configuration)
  }
}

/** Runs until a stop signal, then closes within the deadline. Returns the exit code: 0 when everything was stored. */
export async function runUntilStopped(server: PolyphonyServer, log: Logger): Promise<number> {
  // The process ends all the same, and loses nothing that was acknowledged; but the log says why.
  process.on('uncaughtExceptionMonitor', (error) => log.error({ error }, 'crashed'))
  const signal = await stopSignal()
  log.info({ signal }, 'stopping')
  const stored = await server.close(stopDeadlineMs)
  if (stored) log.info({}, 'stopped')
  else log.error({ deadlineMs: stopDeadlineMs }, 'stopped before everything was stored')
  return stored ? 0 : 1
}

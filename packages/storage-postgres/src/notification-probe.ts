import { silentLogger, systemClock, systemRandom } from '@polyphony/core'
import type { PostgresConnectionOptions } from './postgres-options.ts'

/** On one channel for all, so that a test can tell a probe from what it wants to disturb. */
export const probeChannel = 'polyphony probe'

/** What the probe needs: to listen on one connection, and to notify on another. */
export interface ProbedConnections {
  listen(channel: string, listener: (payload: string) => void): Promise<() => Promise<void>>
  notify(channel: string, payload: string): Promise<unknown>
}

/**
 * Finds out whether a notification that is sent on one connection arrives on another. Through a pooler that hands out
 * connections per transaction it does not, and nothing else says so: LISTEN succeeds there as well. Settles when it has
 * arrived, logs when it has not within five seconds, and gives up when `signal` says so.
 */
export async function probeNotifications(
  connections: ProbedConnections,
  options: PostgresConnectionOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock = systemClock, random = systemRandom, logger = silentLogger } = options
  const token = random.hex(8)
  let settle = (_isFine: boolean): void => undefined
  const isFine = new Promise<boolean>((resolve) => (settle = resolve))
  const leave = await connections.listen(probeChannel, (payload) => {
    if (payload === token) settle(true)
  })
  const cancel = clock.after(timeoutMs, () => settle(false))
  const giveUp = (): void => settle(true)
  signal.addEventListener('abort', giveUp)
  try {
    if (signal.aborted) return
    await connections.notify(probeChannel, token)
    if (!(await isFine)) logger.warn({}, silentNotifications)
  } catch (error) {
    // No connection, which is told elsewhere; the next one is probed again.
    logger.debug({ error: String(error) }, 'postgres notifications could not be probed')
  } finally {
    cancel()
    signal.removeEventListener('abort', giveUp)
    await leave()
  }
}

const timeoutMs = 5_000
const silentNotifications =
  'postgres accepts LISTEN, but notifications do not arrive, as behind a pooler with a connection per transaction: ' +
  'edits of other servers are found only by looking every pollMs, and presence does not travel between servers; ' +
  'add ?listen=HOST:PORT with the address of PostgreSQL itself'

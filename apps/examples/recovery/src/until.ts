import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves once `condition` holds; rejects when it does not within half a minute. */
export async function until(what: string, condition: () => boolean, timeoutMs = 30_000): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; !condition(); await sleep(5))
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1_000} s in vain for ${what}.`)
}

import { PolyphonyError } from '@polyphony/core'

interface LockManager {
  request(
    name: string,
    options: { mode: 'exclusive'; ifAvailable: true },
    callback: (lock: unknown) => Promise<void>,
  ): Promise<void>
}

/**
 * IndexedDB lets every tab of an origin in; the store is for one writer. Takes the origin's lock of that name where the
 * platform has Web Locks, for as long as the returned function is not called. Rejects with `store-locked`.
 */
export async function acquireBrowserLock(
  name: string,
  locks: LockManager | undefined = platformLocks(),
): Promise<() => void> {
  if (locks === undefined) return () => undefined
  return await new Promise((resolve, reject) => {
    const held = (lock: unknown) => {
      if (lock === null) {
        reject(
          new PolyphonyError(
            'store-locked',
            `"${name}" is open in another tab or worker: only one may write to it.`,
          ),
        )
        return Promise.resolve()
      }
      return new Promise<void>((release) => resolve(() => release()))
    }
    locks.request(`polyphony:${name}`, { mode: 'exclusive', ifAvailable: true }, held).catch(reject)
  })
}

function platformLocks(): LockManager | undefined {
  const { navigator } = globalThis as { navigator?: { locks?: LockManager } }
  return navigator?.locks
}

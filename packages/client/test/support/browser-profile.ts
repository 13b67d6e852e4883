import type { TabPlatform } from '../../src/index.ts'

interface Waiting {
  readonly tab: Tab
  readonly grant: () => void
}

interface Tab {
  dead: boolean
  readonly channels: Set<Channel>
}

interface Channel {
  readonly name: string
  readonly receive: (message: unknown) => void
}

/**
 * What the tabs of one browser share: locks and channels with the semantics of Web Locks and BroadcastChannel (messages
 * are cloned, arrive later, keep their order, and never reach their sender), in one process, so that a tab can be killed
 * between any two steps. The real ones are driven by the browser tests.
 */
export class BrowserProfile {
  readonly #tabs = new Set<Tab>()
  readonly #held = new Map<string, Tab>()
  readonly #waiting = new Map<string, Waiting[]>()

  openTab(): { readonly platform: TabPlatform; readonly kill: () => void } {
    const tab: Tab = { dead: false, channels: new Set() }
    this.#tabs.add(tab)
    return {
      platform: {
        locks: { request: (name, options, task) => this.#request(tab, name, options, task) },
        openChannel: (name, receive) => this.#openChannel(tab, name, receive),
      },
      kill: () => {
        tab.dead = true
        tab.channels.clear()
        this.#tabs.delete(tab)
        for (const [name, holder] of this.#held) if (holder === tab) this.#free(name)
      },
    }
  }

  #openChannel(tab: Tab, name: string, receive: (message: unknown) => void) {
    const channel: Channel = { name, receive }
    tab.channels.add(channel)
    return {
      postMessage: (message: unknown): void => {
        if (tab.dead) return
        const copy: unknown = structuredClone(message)
        for (const other of this.#tabs)
          for (const target of other.channels)
            if (target.name === name && target !== channel)
              setImmediate(() => {
                if (other.channels.has(target)) target.receive(structuredClone(copy))
              })
      },
      close: () => void tab.channels.delete(channel),
    }
  }

  async #request(
    tab: Tab,
    name: string,
    { ifAvailable = false, signal }: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
    task: (lock: unknown) => Promise<void>,
  ): Promise<void> {
    if (this.#held.has(name)) {
      if (ifAvailable) return await task(null)
      await new Promise<void>((grant, reject) => {
        const queue = this.#waiting.get(name) ?? []
        queue.push({ tab, grant })
        this.#waiting.set(name, queue)
        signal?.addEventListener('abort', () => {
          this.#waiting.set(name, this.#waiting.get(name)?.filter((waiting) => waiting.grant !== grant) ?? [])
          reject(new DOMException('The request was aborted.', 'AbortError'))
        })
      })
    }
    this.#held.set(name, tab)
    try {
      await task({ name })
    } finally {
      if (this.#held.get(name) === tab) this.#free(name)
    }
  }

  #free(name: string): void {
    this.#held.delete(name)
    const next = this.#waiting.get(name)?.find(({ tab }) => !tab.dead)
    if (next === undefined) return
    this.#waiting.set(name, this.#waiting.get(name)?.filter((waiting) => waiting !== next) ?? [])
    this.#held.set(name, next.tab)
    next.grant()
  }
}

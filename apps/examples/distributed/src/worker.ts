import { setTimeout as sleep } from 'node:timers/promises'
import type { NodeList } from './node-list.ts'
import { ShopClient } from './shop-client.ts'
import type { Shop } from './shop.ts'
import { Watcher } from './watcher.ts'

/**
 * Packs orders. An order is claimed by a patch with `If-Match`: of all workers, on whatever nodes, one gets it. The work
 * itself (here: `pack`) is therefore done once. (`If-Match` compares the whole document, so a claim is also lost to an
 * order that comes in. That is the price of certainty; jobs in documents of their own would not pay it.)
 */
export class Worker {
  readonly #name: string
  readonly #client: ShopClient
  readonly #watcher: Watcher
  readonly #pack: (id: string) => void
  readonly #packed = new Set<string>()
  readonly #running: Promise<void>
  #races = 0
  #attempts = 0

  constructor(name: string, nodes: NodeList, pack: (id: string) => void) {
    this.#name = name
    this.#client = new ShopClient(nodes)
    this.#watcher = new Watcher(nodes)
    this.#pack = pack
    this.#running = this.#run()
  }

  /** How often somebody else was faster. */
  get racesLost(): number {
    return this.#races
  }

  async stop(): Promise<void> {
    await this.#watcher.stop()
    await this.#running
  }

  async #run(): Promise<void> {
    for (;;) {
      const hasWork = await this.#watcher.next(({ shop }) => this.#nextOf(shop))
      if (hasWork === undefined) return
      // The feed is a little late; a claim has a chance only at the newest version.
      const { shop, version } = await this.#client.read()
      const id = this.#nextOf(shop)
      if (id === undefined) await this.#watcher.changed()
      else if (this.#isMine(shop, id) || (await this.#claim(id, version))) await this.#work(id)
    }
  }

  /** What it has claimed without hearing of it comes first. */
  #nextOf(shop: Shop): string | undefined {
    const ids = Object.keys(shop.orders)
    return (
      ids.find((id) => this.#isMine(shop, id)) ??
      ids.find((id) => shop.orders[id]?.status === 'open' && !this.#packed.has(id))
    )
  }

  #isMine(shop: Shop, id: string): boolean {
    const order = shop.orders[id]
    return order?.status === 'packing' && order.worker === this.#name && !this.#packed.has(id)
  }

  async #claim(id: string, version: string): Promise<boolean> {
    const order = `/orders/${id}`
    const isClaimed = await this.#client.patch(
      [
        { op: 'test', path: `${order}/status`, value: 'open' },
        { op: 'replace', path: `${order}/status`, value: 'packing' },
        { op: 'add', path: `${order}/worker`, value: this.#name },
      ],
      { key: `claim-${id}-${this.#name}-${++this.#attempts}`, ifMatch: version },
    )
    if (isClaimed) return true
    this.#races += 1
    // Whoever lost waits for a moment of its own, so that not all come back at once.
    await sleep(Math.random() * 20)
    return false
  }

  async #work(id: string): Promise<void> {
    this.#packed.add(id)
    this.#pack(id)
    await sleep(2)
    await this.#client.patch([{ op: 'replace', path: `/orders/${id}/status`, value: 'packed' }], {
      key: `packed-${id}`,
    })
  }
}

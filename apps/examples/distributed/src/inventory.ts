import type { NodeList } from './node-list.ts'
import { ShopClient } from './shop-client.ts'
import type { Sight } from './shop.ts'
import { Watcher } from './watcher.ts'

/**
 * Takes packed orders from the stock. It alone writes the stock, so it needs no compare-and-set: each patch is anchored to
 * the version that it looked at, and has a key by which any node knows it again.
 */
export class Inventory {
  readonly #client: ShopClient
  readonly #watcher: Watcher
  readonly #running: Promise<void>

  constructor(nodes: NodeList) {
    this.#client = new ShopClient(nodes)
    this.#watcher = new Watcher(nodes)
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    await this.#watcher.stop()
    await this.#running
  }

  async #run(): Promise<void> {
    for (;;) {
      const found = await this.#watcher.next(findUnbooked)
      if (found === undefined) return
      const { id, item, left, version } = found
      await this.#client.patch(
        [
          { op: 'replace', path: `/stock/${item}`, value: left },
          { op: 'add', path: `/orders/${id}/booked`, value: true },
        ],
        { key: `book-${id}`, anchor: version },
      )
      // Its next look must show what it has just written.
      await this.#watcher.next(({ shop }) => (shop.orders[id]?.booked === true ? true : undefined))
    }
  }
}

function findUnbooked({
  shop,
  version,
}: Sight):
  | { readonly id: string; readonly item: string; readonly left: number; readonly version: string }
  | undefined {
  for (const [id, { item, quantity, status, booked }] of Object.entries(shop.orders)) {
    if (status !== 'packed' || booked === true) continue
    return { id, item, left: (shop.stock[item] ?? 0) - quantity, version }
  }
  return undefined
}

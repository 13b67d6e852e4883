import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { NodeList } from './node-list.ts'
import { items, shopId } from './shop.ts'

/** Somebody with a Yjs editor: a stock provider, which keeps what it cannot send and brings it to the next node. */
export class Customer {
  readonly name: string
  readonly doc = new Y.Doc()
  readonly #provider: WebsocketProvider
  #placed = 0

  constructor(name: string, nodes: NodeList) {
    this.name = name
    this.#provider = new WebsocketProvider(syncAddress(nodes.url), shopId, this.doc, {
      WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
      disableBc: true,
      maxBackoffTime: 200,
    })
    let used = nodes.url
    const goOn = (): void => {
      nodes.leave(used)
      used = nodes.url
      // The next attempt to connect goes there.
      this.#provider.serverUrl = syncAddress(used)
    }
    this.#provider.on('connection-close', goOn)
    this.#provider.on('connection-error', goOn)
  }

  get isSynced(): boolean {
    return this.#provider.synced
  }

  /** Orders something; its id is no one else's. */
  order(): string {
    const id = `${this.name}-${++this.#placed}`
    const orders = this.doc.getMap('state').get('orders')
    if (!(orders instanceof Y.Map)) throw new Error('The shop has no orders to add to.')
    const order = new Y.Map<unknown>()
    order.set('item', items[this.#placed % items.length])
    order.set('quantity', 1 + (this.#placed % 4))
    order.set('status', 'open')
    orders.set(id, order)
    return id
  }

  leave(): void {
    this.#provider.destroy()
    this.doc.destroy()
  }
}

function syncAddress(url: string): string {
  return `${url.replace('http', 'ws')}/sync`
}

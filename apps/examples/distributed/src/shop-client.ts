import { setTimeout as sleep } from 'node:timers/promises'
import type { Operation } from 'fast-json-patch'
import type { NodeList } from './node-list.ts'
import { asShop, shopId, type Sight } from './shop.ts'

/** On which terms a patch is carried out. */
export interface Terms {
  /** The same for every attempt: whatever node it reaches, it is carried out once. */
  readonly key: string
  /** Only if the document is still at this version, on all nodes. */
  readonly ifMatch?: string | undefined
  /** What the author looked at. */
  readonly anchor?: string | undefined
}

const attemptsMax = 60

/** Reads and writes the shop by REST, at whichever node answers. */
export class ShopClient {
  readonly #nodes: NodeList

  constructor(nodes: NodeList) {
    this.#nodes = nodes
  }

  /** The state as a node has it now, and the version that names it. */
  async read(): Promise<Sight> {
    const response = await this.#ask({ method: 'GET' })
    if (!response.ok) throw new Error(`The shop cannot be read: ${response.status} ${await response.text()}`)
    const version = response.headers.get('polyphony-version') ?? ''
    return { shop: asShop(await response.json()), version }
  }

  /** Creates the shop, or leaves it as it is. */
  async create(shop: unknown): Promise<void> {
    const headers = { 'content-type': 'application/json', 'if-none-match': '*' }
    const response = await this.#ask({ method: 'PUT', headers, body: JSON.stringify(shop) })
    if (!response.ok && response.status !== 412)
      throw new Error(`The shop cannot be made: ${response.status} ${await response.text()}`)
  }

  /** Resolves with whether the patch was carried out; `false` when somebody was faster. */
  async patch(patch: readonly Operation[], { key, ifMatch, anchor }: Terms): Promise<boolean> {
    const headers = {
      'content-type': 'application/json-patch+json',
      'idempotency-key': key,
      ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
      ...(anchor === undefined ? {} : { 'polyphony-anchor': anchor }),
    }
    const response = await this.#ask({ method: 'PATCH', headers, body: JSON.stringify(patch) })
    if (response.ok) return true
    if (response.status === 409 || response.status === 412) return false
    throw new Error(`A patch was refused: ${response.status} ${await response.text()}`)
  }

  /** A node that is gone, or cannot answer, is left for the next; the same request is sent there. */
  async #ask(init: RequestInit): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      const { url } = this.#nodes
      const response = await fetch(`${url}/v1/documents/${shopId}`, init).catch(() => undefined)
      if (response !== undefined && response.status < 500 && response.status !== 429) return response
      if (attempt === attemptsMax) throw new Error('No node answers.')
      this.#nodes.leave(url)
      await sleep(50)
    }
  }
}

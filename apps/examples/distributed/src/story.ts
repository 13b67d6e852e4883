import { isDeepStrictEqual } from 'node:util'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Customer } from './customer.ts'
import { Inventory } from './inventory.ts'
import { NodeList } from './node-list.ts'
import { ServerNode } from './server-node.ts'
import { ShopClient } from './shop-client.ts'
import { emptyShop, items, stockAtFirst, type Shop } from './shop.ts'
import { Watcher } from './watcher.ts'
import { Worker } from './worker.ts'

export interface StoryOptions {
  /** The Redis that the nodes share. */
  readonly redis: string
  readonly orders: number
  /** Hears what happens, line by line. */
  readonly say: (line: string) => void
}

/** What came of it, counted by who took part. */
export interface Outcome {
  readonly placed: number
  readonly packed: number
  readonly packedTwice: number
  readonly missing: number
  /** Pieces that are missing from the stock, or too many in it. */
  readonly stockError: number
  /** Of nodes, watchers and editors: whether all have the same state in the end. */
  readonly differing: readonly string[]
  readonly racesLost: number
  readonly resumed: number
}

const orderEveryMs = 30

/**
 * Two nodes on one Redis; on each a customer with a Yjs editor, workers, and a watcher; on one the inventory. When a third
 * of the orders is packed the first node is killed, when two thirds are, it comes back.
 */
export async function runStory({ redis, orders, say }: StoryOptions): Promise<Outcome> {
  const prefix = `distributed-${randomBytes(4).toString('hex')}`
  const nodes = await startNodes(redis, prefix)
  const urls = nodes.map(({ url }) => url)
  const from = (first: number): NodeList => new NodeList(urls, first)
  const deliveries: string[] = []
  await new ShopClient(from(0)).create(emptyShop())
  say(`Two nodes on one Redis: A ${urls[0]}, B ${urls[1]}`)
  const customers = [new Customer('ann', from(0)), new Customer('bob', from(1))]
  const workers = ['w1', 'w2', 'w3', 'w4'].map(
    (name, index) => new Worker(name, from(index % 2), (id) => deliveries.push(id)),
  )
  const watchers = [new Watcher(from(0)), new Watcher(from(1))]
  const inventory = new Inventory(from(0))
  try {
    await until('the editors to have the shop', () => customers.every(({ isSynced }) => isSynced))
    say(
      'Customers ann (A) and bob (B) order by Yjs; workers w1, w3 (A) and w2, w4 (B) pack; the inventory (A) books',
    )
    const placed: string[] = []
    const ordering = placeOrders(customers, orders, placed)
    const packedAtLeast = (share: number): Promise<void> =>
      until(`${share} of the orders to be packed`, () => deliveries.length >= orders * share)
    await packedAtLeast(1 / 3)
    await nodes[0]?.kill()
    say(`kill -9 of A at ${placed.length} orders, ${deliveries.length} packed. Everybody there goes on at B`)
    await packedAtLeast(2 / 3)
    await nodes[0]?.restart()
    say(`A is back at ${placed.length} orders, ${deliveries.length} packed`)
    await ordering
    const isDone = ({ shop }: { readonly shop: Shop }): true | undefined =>
      isFinished(shop, placed) ? true : undefined
    for (const watcher of watchers) await within('every order to be booked', watcher.next(isDone))
    const { shop: state } = await new ShopClient(from(1)).read()
    return {
      ...judge(state, placed, deliveries),
      differing: await differing(state, urls, watchers, customers),
      racesLost: workers.reduce((sum, { racesLost }) => sum + racesLost, 0),
      resumed: watchers.reduce((sum, { resumed }) => sum + resumed, 0),
    }
  } finally {
    for (const customer of customers) customer.leave()
    await Promise.all([...workers, ...watchers, inventory].map((service) => service.stop()))
    for (const node of nodes) await node.kill()
  }
}

/** Whether nothing was lost, done twice, or seen differently. */
export function isWhole({ packedTwice, missing, stockError, differing }: Outcome): boolean {
  return packedTwice + missing + stockError + differing.length === 0
}

async function startNodes(redis: string, prefix: string): Promise<readonly ServerNode[]> {
  const first = await ServerNode.start(redis, prefix)
  try {
    return [first, await ServerNode.start(redis, prefix)]
  } catch (error) {
    await first.kill()
    throw error
  }
}

async function placeOrders(customers: readonly Customer[], orders: number, placed: string[]): Promise<void> {
  for (let n = 0; n < orders; n++) {
    const customer = customers[n % customers.length]
    if (customer !== undefined) placed.push(customer.order())
    await sleep(orderEveryMs)
  }
}

function isFinished(shop: Shop, placed: readonly string[]): boolean {
  return placed.every((id) => shop.orders[id]?.status === 'packed' && shop.orders[id]?.booked === true)
}

function judge(
  shop: Shop,
  placed: readonly string[],
  deliveries: readonly string[],
): Pick<Outcome, 'placed' | 'packed' | 'packedTwice' | 'missing' | 'stockError'> {
  const delivered = new Set(deliveries)
  const wanted = new Map<string, number>(items.map((item) => [item, stockAtFirst]))
  for (const { item, quantity } of Object.values(shop.orders))
    wanted.set(item, (wanted.get(item) ?? 0) - quantity)
  return {
    placed: placed.length,
    packed: delivered.size,
    packedTwice: deliveries.length - delivered.size,
    missing: placed.filter((id) => !delivered.has(id) || shop.orders[id] === undefined).length,
    stockError: items.reduce(
      (sum, item) => sum + Math.abs((shop.stock[item] ?? 0) - (wanted.get(item) ?? 0)),
      0,
    ),
  }
}

/** Who has another state than the rest, once everything has had time to arrive. */
async function differing(
  state: Shop,
  urls: readonly string[],
  watchers: readonly Watcher[],
  customers: readonly Customer[],
): Promise<readonly string[]> {
  const looks: readonly (readonly [string, () => unknown])[] = [
    ...watchers.map((watcher, index) => [`watcher ${index + 1}`, () => watcher.sight.shop] as const),
    ...customers.map(({ name, doc }) => [`editor of ${name}`, () => doc.getMap('state').toJSON()] as const),
  ]
  const others: string[] = []
  for (const [index, url] of urls.entries()) {
    const { shop } = await new ShopClient(new NodeList([url], 0)).read()
    if (!isDeepStrictEqual(shop, state)) others.push(`node ${'AB'[index]}`)
  }
  for (const [name, look] of looks) {
    const same = until(name, () => isDeepStrictEqual(look(), state), 5_000)
    if (
      !(await same.then(
        () => true,
        () => false,
      ))
    )
      others.push(name)
  }
  return others
}

async function until(what: string, condition: () => boolean, timeoutMs = 60_000): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; !condition(); await sleep(10))
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1_000} s in vain for ${what}.`)
}

async function within(what: string, awaited: Promise<unknown>): Promise<void> {
  let isThere = false
  void awaited.then(() => (isThere = true))
  await until(what, () => isThere)
}

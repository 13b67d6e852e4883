/** The document that all services share, as JSON. */
export interface Shop {
  readonly orders: Readonly<Record<string, Order>>
  readonly stock: Readonly<Record<string, number>>
}

export interface Order {
  readonly item: string
  readonly quantity: number
  readonly status: 'open' | 'packing' | 'packed'
  /** The worker whose job it is. */
  readonly worker?: string
  /** Whether the inventory has taken it from the stock. */
  readonly booked?: boolean
}

/** What somebody has seen: a state, and the version that names it on every node. */
export interface Sight {
  readonly shop: Shop
  readonly version: string
}

export const shopId = 'shop'
export const items = ['apples', 'pears', 'plums'] as const
export const stockAtFirst = 10_000

export function emptyShop(): Shop {
  return { orders: {}, stock: Object.fromEntries(items.map((item) => [item, stockAtFirst])) }
}

/** Takes what came from a server for a shop: only these services write to it. */
export function asShop(state: unknown): Shop {
  if (typeof state === 'object' && state !== null && 'orders' in state && 'stock' in state)
    return state as Shop
  throw new Error('The document is not a shop.')
}

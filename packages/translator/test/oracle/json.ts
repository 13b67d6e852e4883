/** JSON as the tests understand it, and the two operations on it that everything else needs. Slow and obvious. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

export interface Operation {
  readonly op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test'
  readonly path: string
  readonly from?: string
  readonly value?: Json
}

export function isObject(value: unknown): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** RFC 6902 section 4.6: numbers by value, objects without regard to the order of members. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => equal(x, b[i]))
  if (!isObject(a) || !isObject(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]))
  )
}

export function clone<T>(value: T): T {
  return structuredClone(value)
}

/** Members in alphabetical order, so that two replicas with another order of insertion print alike. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1))) : part,
  )
}

export function escape(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1')
}

export function pointer(tokens: readonly (string | number)[]): string {
  return tokens.map((token) => `/${escape(String(token))}`).join('')
}

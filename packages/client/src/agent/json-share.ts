import {
  isJsonArray,
  isJsonObject,
  type JsonArray,
  type JsonObject,
  type JsonValue,
} from '@polyphony/translator'

/**
 * Makes values that are frozen and share what is equal: code that compares by identity (React, the AG-UI subscribers)
 * sees new objects only along the path of a change, and nobody can change by accident what others hold.
 */
export class JsonShare {
  /** Containers that are frozen with all that is in them. */
  readonly #sealed = new WeakSet<object>()

  /** Freezes what is new in a value that is ours, as `JSON.parse` or a patch made it. O(size of what is new). */
  seal(value: JsonValue): JsonValue {
    if (typeof value !== 'object' || value === null || this.#sealed.has(value)) return value
    for (const child of Object.values(value)) this.seal(child)
    return this.sealed(value)
  }

  /** Freezes a container in which everything is sealed already. O(1). */
  sealed<T extends JsonArray | JsonObject>(container: T): T {
    this.#sealed.add(container)
    return Object.freeze(container)
  }

  /**
   * `next` as a sealed value that shares with `old` whatever is equal; `old` itself when all of it is. What JSON has no
   * word for becomes what `JSON.stringify` makes of it. O(size of `next` that is not sealed already).
   */
  take(old: JsonValue | undefined, next: unknown): JsonValue {
    if (typeof next === 'number') return Number.isFinite(next) ? next : null
    if (typeof next === 'string' || typeof next === 'boolean') return next
    if (typeof next === 'object' && next !== null) {
      if (this.#sealed.has(next)) return next as JsonValue
      if ('toJSON' in next && typeof next.toJSON === 'function') return this.take(old, next.toJSON())
      return Array.isArray(next) ? this.#takeArray(old, next) : this.#takeObject(old, next)
    }
    return null
  }

  #takeArray(old: JsonValue | undefined, next: readonly unknown[]): JsonValue {
    const before = isJsonArray(old) ? old : []
    const after = next.map((element, index) => this.take(before[index], element))
    const isSame =
      isJsonArray(old) && old.length === after.length && after.every((element, i) => element === before[i])
    return isSame ? old : this.sealed(after)
  }

  #takeObject(old: JsonValue | undefined, next: object): JsonValue {
    const before: JsonObject = isJsonObject(old) ? old : {}
    const after: [string, JsonValue][] = []
    let isSame = isJsonObject(old)
    for (const [key, member] of Object.entries(next)) {
      if (member === undefined || typeof member === 'function' || typeof member === 'symbol') continue
      const known = Object.hasOwn(before, key) ? before[key] : undefined
      const value = this.take(known, member)
      isSame &&= value === known
      after.push([key, value])
    }
    if (isSame && after.length === Object.keys(before).length) return before
    return this.sealed(Object.fromEntries(after))
  }
}

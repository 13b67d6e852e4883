export type JsonPrimitive = string | number | boolean | null
export type JsonArray = readonly JsonValue[]
export interface JsonObject {
  readonly [member: string]: JsonValue
}
/** Anything that `JSON.parse` can return. */
export type JsonValue = JsonPrimitive | JsonArray | JsonObject

export function isJsonArray(value: JsonValue | undefined): value is JsonArray {
  return Array.isArray(value)
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isPrimitive(value: JsonValue): value is JsonPrimitive {
  return typeof value !== 'object' || value === null
}

/** Equality as RFC 6902 `test` means it: numbers by value, members in any order. O(size of the smaller value). */
export function jsonEquals(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true
  if (isJsonArray(a)) {
    if (!isJsonArray(b) || a.length !== b.length) return false
    return a.every((element, index) => jsonEquals(element, b[index]))
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const members = Object.keys(a)
  if (members.length !== Object.keys(b).length) return false
  return members.every((member) => Object.hasOwn(b, member) && jsonEquals(a[member], b[member]))
}

/**
 * What JSON a value of a Yjs document stands for. Yjs stores more than JSON has: `undefined`, `NaN` and infinities are
 * `null`, -0 is 0, a bigint is its decimal string, bytes are `{"$bytes": base64}`. Always a copy, members sorted, so
 * that the document cannot be changed through it and every replica prints the same.
 */
export function toJsonValue(raw: unknown): JsonValue {
  switch (typeof raw) {
    case 'string':
    case 'boolean':
      return raw
    case 'number':
      return Number.isFinite(raw) ? raw + 0 : null
    case 'bigint':
      return raw.toString()
    case 'object':
      break
    case 'undefined':
    case 'function':
    case 'symbol':
      return null
  }
  if (raw === null) return null
  if (Array.isArray(raw)) return raw.map(toJsonValue)
  if (raw instanceof Uint8Array) return { $bytes: toBase64(raw) }
  if (raw instanceof Date) return Number.isNaN(raw.getTime()) ? null : raw.toISOString()
  const object: Record<string, JsonValue> = {}
  const source = raw as Record<string, unknown>
  const members = Object.keys(source)
  members.sort()
  for (const member of members) {
    if (member !== '__proto__') object[member] = toJsonValue(source[member])
  }
  return object
}

/** Base64 in slices, because `String.fromCharCode` cannot take a large array at once. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += 8_192) {
    binary += String.fromCharCode(...bytes.subarray(i, i + 8_192))
  }
  return btoa(binary)
}

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}

/** Replaces surrogates without a partner by U+FFFD, as encoding to UTF-8 would. */
export function toWellFormed(text: string): string {
  return /[\uD800-\uDFFF]/.test(text)
    ? text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, '\uFFFD')
    : text
}

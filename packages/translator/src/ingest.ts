import { PolyphonyError, type Limits } from '@polyphony/core'
import { toBase64, toWellFormed, type JsonValue } from './json-value.ts'

export type IngestLimits = Pick<
  Limits,
  'jsonDepthMax' | 'jsonKeysMax' | 'stringLengthMax' | 'patchOperationsMax'
>

/** Counts what one request brings, across all its values. */
export interface Intake {
  readonly limits: IngestLimits
  members: number
}

/**
 * Checks JSON that comes in before anything is changed, because Yjs cannot roll back. Returns it in the form that will
 * be stored: lone surrogates as U+FFFD, since Yjs would store something else on every other replica; what is not JSON
 * as in `toJsonValue`, except for dates and functions, which are refused. Values that need no change are not copied.
 *
 * Throws `invalid-value` for the key `__proto__`, nesting, strings and counts beyond the limits, and what is not data.
 *
 * @param depth how deep the place is where the value goes
 */
export function ingest(value: unknown, intake: Intake, depth: number, index?: number): JsonValue {
  const { limits } = intake
  const refuse = (why: string, limit?: keyof IngestLimits): PolyphonyError =>
    new PolyphonyError('invalid-value', index === undefined ? why : `Operation ${index}: ${why}`, {
      index,
      limit,
    })

  const visit = (value: unknown, depth: number): JsonValue => {
    if (depth > limits.jsonDepthMax)
      throw refuse(`JSON is nested at most ${limits.jsonDepthMax} levels deep`, 'jsonDepthMax')
    switch (typeof value) {
      case 'string':
        if (value.length > limits.stringLengthMax)
          throw refuse(`A string has at most ${limits.stringLengthMax} UTF-16 units`, 'stringLengthMax')
        return toWellFormed(value)
      case 'number':
        return Number.isFinite(value) ? value + 0 : null
      case 'boolean':
        return value
      case 'undefined':
        return null
      case 'bigint':
        return value.toString()
      case 'function':
      case 'symbol':
        throw refuse(`A ${typeof value} is not JSON`)
      case 'object':
        break
    }
    if (value === null) return null
    if (Array.isArray(value)) {
      count(value.length)
      return mapArray(value, (element) => visit(element, depth + 1))
    }
    if (value instanceof Uint8Array) return { $bytes: toBase64(value) }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
      throw refuse(`An instance of a class is not JSON`)
    const keys = Object.keys(value)
    count(keys.length)
    return mapObject(value as Record<string, unknown>, keys, (member) => visit(member, depth + 1))
  }

  const count = (members: number): void => {
    intake.members += members
    if (intake.members > limits.jsonKeysMax)
      throw refuse(`One request brings at most ${limits.jsonKeysMax} members and elements`, 'jsonKeysMax')
  }

  const mapObject = (
    object: Record<string, unknown>,
    keys: string[],
    change: (value: unknown) => JsonValue,
  ): JsonValue => {
    let copy: Record<string, JsonValue> | undefined
    for (const [i, key] of keys.entries()) {
      if (key === '__proto__') throw refuse('The key "__proto__" is refused')
      const stored = toWellFormed(key)
      const value = change(object[key])
      if (copy === undefined && (!Object.is(value, object[key]) || stored !== key)) {
        copy = {}
        for (const earlier of keys.slice(0, i)) copy[earlier] = object[earlier] as JsonValue
      }
      if (copy !== undefined) copy[stored] = value
    }
    return copy ?? (object as Record<string, JsonValue>)
  }

  return visit(value, depth)
}

function mapArray(array: unknown[], change: (value: unknown) => JsonValue): JsonValue[] {
  let copy: JsonValue[] | undefined
  for (const [i, element] of array.entries()) {
    const value = change(element)
    // `Object.is`, because -0 becomes 0.
    if (copy === undefined && !Object.is(value, element)) copy = array.slice(0, i) as JsonValue[]
    copy?.push(value)
  }
  return copy ?? (array as JsonValue[])
}

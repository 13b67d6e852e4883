import { isJsonArray, isJsonObject, parsePointer, type JsonValue } from '@polyphony/translator'

/** What a JSON pointer leads to; undefined when there is nothing. Throws `invalid-patch` for a malformed pointer. */
export function valueAt(value: JsonValue, pointer: string): JsonValue | undefined {
  let at: JsonValue | undefined = value
  for (const token of parsePointer(pointer)) {
    if (at === undefined) return undefined
    if (isJsonArray(at)) at = /^(0|[1-9]\d*)$/.test(token) ? at[Number(token)] : undefined
    else at = isJsonObject(at) && Object.hasOwn(at, token) ? at[token] : undefined
  }
  return at
}

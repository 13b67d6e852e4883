import { leastJsonLength } from '@polyphony/ag-ui'
import { isJsonArray, isJsonObject, type JsonObject, type JsonValue } from '@polyphony/translator'

/**
 * The JSON text of `value` in pieces of about `length` UTF-16 units, so that no piece takes long to make. Only a single
 * string is never cut.
 */
export function* jsonTexts(value: JsonValue, length: number): Generator<string> {
  let piece = ''
  for (const text of texts(value, length)) {
    piece += text
    if (piece.length < length) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

function* texts(value: JsonValue, length: number): Generator<string> {
  if ((!isJsonArray(value) && !isJsonObject(value)) || leastJsonLength(value, length) <= length) {
    yield JSON.stringify(value)
  } else if (isJsonArray(value)) {
    yield* members(value.entries(), ['[', ']'], length, (run) =>
      JSON.stringify(run.map(([, element]) => element)),
    )
  } else {
    yield* members(Object.entries(value), ['{', '}'], length, (run) => JSON.stringify(fromEntries(run)))
  }
}

/** Small neighbours go through the serialiser together, which is much faster than one by one. */
function* members<Key extends string | number>(
  entries: Iterable<readonly [Key, JsonValue]>,
  [open, close]: readonly [string, string],
  length: number,
  stringify: (run: readonly (readonly [Key, JsonValue])[]) => string,
): Generator<string> {
  let separator = open
  let run: (readonly [Key, JsonValue])[] = []
  let runLength = 0
  const flush = function* (): Generator<string> {
    if (run.length === 0) return
    yield `${separator}${stringify(run).slice(1, -1)}`
    separator = ','
    run = []
    runLength = 0
  }
  for (const [key, value] of entries) {
    const size = leastJsonLength(value, length)
    if (size > length) {
      yield* flush()
      yield open === '[' ? separator : `${separator}${JSON.stringify(key)}:`
      separator = ','
      yield* texts(value, length)
      continue
    }
    run.push([key, value])
    // The bound counts a number as one digit and leaves out key and separator.
    runLength += size + 8 + (typeof key === 'string' ? key.length : 0)
    if (runLength >= length) yield* flush()
  }
  yield* flush()
  yield separator === open ? open + close : close
}

/** Without a prototype, `__proto__` is a key like any other. */
function fromEntries(entries: readonly (readonly [string | number, JsonValue])[]): JsonObject {
  const object = Object.create(null) as Record<string, JsonValue>
  for (const [key, value] of entries) object[key] = value
  return object
}

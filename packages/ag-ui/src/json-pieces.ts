import { PolyphonyError } from '@polyphony/core'
import { isJsonArray, type JsonValue, type SplicePatch, type TextSplice } from '@polyphony/translator'

/**
 * Cuts a JSON Patch into texts of at most `bytesMax` bytes, each a JSON Patch of its own; applied in order they do what
 * the whole does. A value that is too large for one text is added empty and then filled. Lazy: the work for one text
 * is done when it is asked for. Throws `document-too-large` for a single string (or key) that does not fit, because
 * JSON Patch can only replace a string whole.
 */
export function* cutPatch(patch: Iterable<SplicePatch[number]>, bytesMax: number): Generator<string> {
  let operations: string[] = []
  let bytes = 2
  for (const operation of patch) {
    for (const text of cutOperation(operation, bytesMax - 2)) {
      const size = utf8Length(text)
      if (operations.length > 0 && bytes + size + 1 > bytesMax) {
        yield `[${operations.join(',')}]`
        operations = []
        bytes = 2
      }
      operations.push(text)
      bytes += size + 1
    }
  }
  if (operations.length > 0) yield `[${operations.join(',')}]`
}

function* cutOperation(operation: SplicePatch[number], bytesMax: number): Generator<string> {
  if (operation.op === 'splice') {
    yield* cutSplice(operation, bytesMax)
    return
  }
  if (!('value' in operation)) {
    yield fitting(JSON.stringify(operation), operation.path, bytesMax)
    return
  }
  const { op, path, value } = operation
  const text = textOf(operation, value, bytesMax)
  if (text !== undefined) {
    yield text
    return
  }
  if (op === 'test' || typeof value !== 'object' || value === null) throw valueTooLarge(path, bytesMax)
  yield fitting(JSON.stringify({ op, path, value: isJsonArray(value) ? [] : {} }), path, bytesMax)
  if (isJsonArray(value)) {
    for (let index = 0; index < value.length; index++) {
      yield* cutOperation({ op: 'add', path: `${path}/${index}`, value: value[index] as JsonValue }, bytesMax)
    }
  } else {
    for (const key of Object.keys(value)) {
      const child = `${path}/${escapePointer(key)}`
      yield* cutOperation({ op: 'add', path: child, value: value[key] as JsonValue }, bytesMax)
    }
  }
}

/** A splice, with what it inserts in as many pieces as it takes. */
function* cutSplice({ insert, ...splice }: TextSplice, bytesMax: number): Generator<string> {
  // A UTF-16 unit has at most six bytes in JSON; one more is left for the rest of a surrogate pair.
  const units = Math.max(1, Math.floor((bytesMax - utf8Length(splice.path) - 100) / 6) - 1)
  let { index, remove } = splice
  for (let at = 0; at === 0 || at < insert.length;) {
    const cut = at + units
    const end = isLowSurrogate(insert.charCodeAt(cut)) ? cut + 1 : cut
    const piece = insert.slice(at, end)
    yield fitting(JSON.stringify({ ...splice, index, remove, insert: piece }), splice.path, bytesMax)
    index += piece.length
    remove = 0
    at = end
  }
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000
}

/** The operation as JSON, or nothing when it has more than `bytesMax` bytes. */
function textOf(operation: SplicePatch[number], value: JsonValue, bytesMax: number): string | undefined {
  if (leastJsonLength(value, bytesMax) > bytesMax) return undefined
  const text = JSON.stringify(operation)
  // A UTF-16 unit has at most three bytes, so most operations need no counting.
  return text.length * 3 > bytesMax && utf8Length(text) > bytesMax ? undefined : text
}

function fitting(text: string, path: string, bytesMax: number): string {
  if (utf8Length(text) > bytesMax) throw valueTooLarge(path, bytesMax)
  return text
}

/** A key as it stands in a JSON pointer. */
export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The error for a value that cannot be cut. */
export function valueTooLarge(path: string, bytesMax: number): PolyphonyError {
  const place = path.length > 200 ? `${path.slice(0, 200)}…` : path
  return new PolyphonyError(
    'document-too-large',
    `The value at "${place}" alone does not fit into one event of ${bytesMax} bytes. Watch a part of the document, or ` +
      `project the text as lines.`,
    { limit: 'snapshotBytesMax' },
  )
}

/** A lower bound of the length of the JSON text in UTF-16 units; stops counting above `enough`. */
export function leastJsonLength(value: JsonValue, enough: number): number {
  let length = 0
  const waiting: JsonValue[] = [value]
  for (let next = waiting.pop(); next !== undefined && length <= enough; next = waiting.pop()) {
    if (typeof next === 'string') length += next.length + 2
    else if (typeof next !== 'object' || next === null) length += 1
    else if (isJsonArray(next)) {
      length += 2 + Math.max(0, next.length - 1)
      if (length <= enough) for (const element of next) waiting.push(element)
    } else {
      length += 1
      for (const key of Object.keys(next)) {
        length += key.length + 4
        if (length > enough) break
        waiting.push(next[key] as JsonValue)
      }
    }
  }
  return length
}

const encoder = new TextEncoder()
// Encoding into a scratch buffer counts without allocating the whole text again.
const scratch = new Uint8Array(64 << 10)

/** Bytes of `text` in UTF-8. */
export function utf8Length(text: string): number {
  // Every UTF-16 unit is at least one byte and at most three.
  let bytes = 0
  for (let at = 0; at < text.length;) {
    const { read, written } = encoder.encodeInto(at === 0 ? text : text.slice(at), scratch)
    bytes += written
    at += read
  }
  return bytes
}

import { PolyphonyError, type Limits } from '@polyphony/core'

type JsonLimits = Pick<Limits, 'jsonDepthMax' | 'jsonKeysMax' | 'stringLengthMax'>

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Parses JSON from outside. Its depth, number of members and longest string are known before a parser sees it, at the
 * cost of one pass over the bytes. Throws `invalid-request` for what is not JSON in UTF-8, `invalid-value` for a limit.
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits): unknown {
  checkJson(bytes, limits)
  try {
    return JSON.parse(decoder.decode(bytes)) as unknown
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : 'it is not valid UTF-8'
    throw new PolyphonyError('invalid-request', `The body is not JSON: ${reason}.`, { cause })
  }
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c

/** Counts on the raw bytes: in UTF-8 the bytes of these signs occur nowhere else. */
function checkJson(bytes: Uint8Array, limits: JsonLimits): void {
  let depth = 0
  let members = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) {
      const start = at
      for (at++; at < bytes.length && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++
      // A UTF-16 unit takes at least one byte, so the bytes are at least the length unless there are escapes.
      if (at - start - 1 > limits.stringLengthMax)
        checkString(bytes.subarray(start, at + 1), limits.stringLengthMax)
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++
      members++
      if (depth > limits.jsonDepthMax)
        throw exceeds('jsonDepthMax', `nested more than ${limits.jsonDepthMax} levels deep`)
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--
    } else if (byte === comma) {
      members++
    }
    if (members > limits.jsonKeysMax)
      throw exceeds('jsonKeysMax', `of more than ${limits.jsonKeysMax} members`)
  }
}

/** Counts the UTF-16 units of a long string, escapes as what they stand for. */
function checkString(text: Uint8Array, lengthMax: number): void {
  let length = 0
  for (let at = 1; at < text.length - 1; at++) {
    const byte = text[at] ?? 0
    if (byte === backslash) at += text[at + 1] === 0x75 ? 5 : 1
    // Continuation bytes add nothing; four-byte characters are two units.
    if ((byte & 0xc0) !== 0x80) length += byte >= 0xf0 ? 2 : 1
  }
  if (length > lengthMax)
    throw exceeds('stringLengthMax', `with a string of more than ${lengthMax} characters`)
}

function exceeds(limit: keyof JsonLimits, what: string): PolyphonyError {
  return new PolyphonyError('invalid-value', `JSON ${what} is not taken.`, { limit })
}

import { IdSet, PolyphonyError } from '@polyphony/core'
import { fromBase64, toBase64 } from './json-value.ts'

/** The edits of one author that it has made on top of a revision, without having seen anything later of others. */
export interface OwnEdits {
  readonly inserted: IdSet
  readonly deleted: IdSet
}

/**
 * What an author sees: everything up to a revision, plus its own edits since. Immutable. As text it is a decimal
 * number, followed by `~` and Base64url when there are own edits: ASCII that is safe in URLs and headers, without dots.
 */
export class Version {
  /** Range count up to which versions are accepted from outside; keep longer ones on the side that made them. */
  static readonly ownRangesMax = 256

  readonly revision: number
  readonly own: OwnEdits

  constructor(revision: number, own: OwnEdits = nothing) {
    if (!Number.isSafeInteger(revision) || revision < 0)
      throw new TypeError(`A revision is a whole number of at least 0, not ${revision}`)
    this.revision = revision
    this.own = own
  }

  /** Whether the author has edits of its own that `revision` does not tell. */
  get hasOwn(): boolean {
    return !this.own.inserted.isEmpty || !this.own.deleted.isEmpty
  }

  /** Whether `parseVersion` accepts its text: at most `ownRangesMax` ranges of own edits. */
  get isPortable(): boolean {
    return this.own.inserted.size + this.own.deleted.size <= Version.ownRangesMax
  }

  toString(): string {
    if (!this.hasOwn) return String(this.revision)
    const bytes: number[] = []
    writeIds(bytes, this.own.inserted)
    writeIds(bytes, this.own.deleted)
    const text = toBase64(Uint8Array.from(bytes))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '')
    return `${this.revision}~${text}`
  }
}

/** Reads what `toString` wrote. Throws `invalid-token` for anything else. */
export function parseVersion(text: string): Version {
  const match = /^(0|[1-9]\d{0,15})(?:~([\w-]{1,16384}))?$/.exec(text)
  const revision = Number(match?.[1])
  if (match === null || !Number.isSafeInteger(revision)) throw malformed()
  const own = match[2]
  if (own === undefined) return new Version(revision)
  const cursor = { bytes: decode(own), at: 0, ranges: 0 }
  const inserted = readIds(cursor)
  const deleted = readIds(cursor)
  if (cursor.at !== cursor.bytes.length) throw malformed()
  return new Version(revision, { inserted, deleted })
}

/** By revision, then by the text. Versions of different authors at one revision have no order of their own. */
export function compareVersions(a: Version, b: Version): number {
  if (a.revision !== b.revision) return a.revision - b.revision
  const [left, right] = [a.toString(), b.toString()]
  return left === right ? 0 : left < right ? -1 : 1
}

export function equals(a: Version, b: Version): boolean {
  return a === b || compareVersions(a, b) === 0
}

/** What the author of `version` sees once it has also seen everything up to `to`. O(ranges of own edits). */
export function advance(version: Version, to: Version): Version {
  if (!version.hasOwn && version.revision <= to.revision) return to
  const inserted = new IdSet()
  const deleted = new IdSet()
  for (const { own } of [version, to]) {
    inserted.addAll(own.inserted)
    deleted.addAll(own.deleted)
  }
  return new Version(Math.max(version.revision, to.revision), { inserted, deleted })
}

const nothing: OwnEdits = { inserted: new IdSet(), deleted: new IdSet() }

interface Cursor {
  readonly bytes: Uint8Array
  at: number
  ranges: number
}

function writeIds(bytes: number[], ids: IdSet): void {
  const clients = [...ids.clients()].toSorted((a, b) => a - b)
  writeNumber(bytes, clients.length)
  for (const client of clients) {
    const ranges = [...ids.ranges(client)]
    writeNumber(bytes, client)
    writeNumber(bytes, ranges.length)
    let end = 0
    for (const { clock, length } of ranges) {
      writeNumber(bytes, clock - end)
      writeNumber(bytes, length)
      end = clock + length
    }
  }
}

function readIds(cursor: Cursor): IdSet {
  const ids = new IdSet()
  const clients = readNumber(cursor)
  for (let i = 0; i < clients; i++) {
    const client = readNumber(cursor)
    const ranges = readNumber(cursor)
    let end = 0
    for (let j = 0; j < ranges; j++) {
      if (++cursor.ranges > Version.ownRangesMax) throw malformed()
      const clock = end + readNumber(cursor)
      const length = readNumber(cursor)
      end = clock + length
      if (length === 0 || !Number.isSafeInteger(end)) throw malformed()
      ids.add(client, clock, length)
    }
  }
  return ids
}

function writeNumber(bytes: number[], value: number): void {
  let rest = value
  while (rest > 127) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
}

function readNumber(cursor: Cursor): number {
  let value = 0
  for (let factor = 1; factor <= 2 ** 49; factor *= 128) {
    const byte = cursor.bytes[cursor.at++]
    if (byte === undefined) throw malformed()
    value += (byte & 127) * factor
    if (byte < 128) return value
  }
  throw malformed()
}

function decode(text: string): Uint8Array {
  try {
    return fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'))
  } catch (error) {
    throw malformed(error)
  }
}

function malformed(cause?: unknown): PolyphonyError {
  return new PolyphonyError('invalid-token', 'The version is malformed; pass on what you were given', {
    cause,
  })
}

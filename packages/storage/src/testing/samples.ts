import type { Append, Checkpoint, DocumentStore, EntryMeta, LogEntry, NewEntry, ReadRange } from '../index.ts'
import { isCheckpoint } from '../index.ts'
import { expectTrue } from './expectations.ts'

/** Bytes that do not compress, the same for the same seed. */
export function sampleBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = (seed * 2654435761) >>> 0 || 1
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state
  }
  return bytes
}

export function sampleMeta(overrides: Partial<EntryMeta> = {}): EntryMeta {
  return { author: 'ann', committedAtMs: Date.now(), ...overrides }
}

/** An entry whose update is `text`, or bytes given. */
export function sampleEntry(update: string | Uint8Array, meta: Partial<EntryMeta> = {}): NewEntry {
  return { update: typeof update === 'string' ? textEncoder.encode(update) : update, meta: sampleMeta(meta) }
}

/** Entries with the updates `prefix1`, `prefix2`, … */
export function sampleEntries(count: number, prefix = ''): readonly NewEntry[] {
  return Array.from({ length: count }, (_, index) => sampleEntry(`${prefix}${index + 1}`))
}

/** Appends to one document; fails unless it works. */
export async function appendTo(
  store: DocumentStore,
  documentId: string,
  entries: readonly NewEntry[],
  rest: Partial<Append> = {},
): Promise<{ first: number; last: number; incarnation: string }> {
  const [result] = await store.append([{ ...rest, documentId, entries }])
  expectTrue(result !== undefined, 'append gives one result per document')
  if (!result.ok) throw result.error
  return result
}

/** The error of an append to one document; fails if it works. */
export async function refusedAppend(store: DocumentStore, append: Append): Promise<unknown> {
  const [result] = await store.append([append])
  expectTrue(result?.ok === false, `the append to "${append.documentId}" is refused`)
  return result.error
}

export async function* chunksOf(...chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks
}

export function sampleCheckpoint(revision: number, state: Uint8Array | readonly Uint8Array[]): Checkpoint {
  const chunks = state instanceof Uint8Array ? [state] : state
  return { revision, stateVector: sampleBytes(20, revision), state: chunksOf(...chunks) }
}

export interface ReadCheckpoint {
  readonly revision: number
  readonly incarnation: string | undefined
  readonly stateVector: Uint8Array
  readonly state: Uint8Array
}

export interface ReadResult {
  readonly checkpoint: ReadCheckpoint | undefined
  readonly entries: readonly LogEntry[]
}

/** Reads everything, and checks what holds of every read: a checkpoint at most once and first, entries without gaps. */
export async function readAll(
  store: DocumentStore,
  documentId: string,
  range?: ReadRange,
): Promise<ReadResult> {
  let checkpoint: ReadCheckpoint | undefined
  const entries: LogEntry[] = []
  let previous = range?.after
  for await (const item of range === undefined ? store.read(documentId) : store.read(documentId, range)) {
    if (isCheckpoint(item)) {
      expectTrue(checkpoint === undefined && entries.length === 0, 'a checkpoint comes first and once')
      expectTrue(item.revision > (range?.after ?? 0), 'a checkpoint is newer than what the reader has')
      const { revision, incarnation, stateVector } = item
      checkpoint = { revision, incarnation, stateVector, state: await joinChunks(item.state) }
    } else {
      expectTrue(item.revision === (previous ?? 0) + 1, `revision ${item.revision} follows ${previous ?? 0}`)
      entries.push(item)
    }
    previous = item.revision
  }
  return { checkpoint, entries }
}

/** The updates as text, for tests that write text. */
export async function readTexts(
  store: DocumentStore,
  documentId: string,
  range?: ReadRange,
): Promise<string[]> {
  const { entries } = await readAll(store, documentId, range)
  return entries.map(({ update }) => textDecoder.decode(update))
}

export async function joinChunks(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

const textEncoder = new TextEncoder()
const textDecoder = new TextDecoder()

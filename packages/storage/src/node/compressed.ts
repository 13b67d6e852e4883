import { promisify } from 'node:util'
import {
  brotliCompress,
  brotliCompressSync,
  brotliDecompress,
  brotliDecompressSync,
  constants,
} from 'node:zlib'
import { limitTable, PolyphonyError } from '@polyphony/core'
import { chunkBytesMax, joinBytes, rechunk } from '../chunks.ts'
import { isCheckpoint } from '../document-store.ts'
import type {
  Append,
  AppendResult,
  Checkpoint,
  DocumentStore,
  LogEntry,
  ReadRange,
  Unsubscribe,
} from '../document-store.ts'
import { corrupt } from '../record.ts'
import { followDecoded, StoreWrapper, type Subscribe, type SubscribeCall } from '../store-wrapper.ts'
import { encodeFrame, readFrames } from './frames.ts'
import { headerOf, isSealed, kindBytes, kindOf, valueKind } from './value-kind.ts'

export interface CompressedOptions {
  /**
   * Updates below this many bytes are stored as they are. Default 1,024: starting brotli costs some 20 to 30 µs whatever
   * the size, which a short update does not pay back. `Infinity` compresses nothing, checkpoints neither, and reads what was.
   */
  readonly thresholdBytes?: number | undefined
}

/**
 * Stores updates and checkpoints in brotli's fastest setting: text and JSON become a fifth to a third. Put it outside of
 * `encrypted`, as in `compressed(encrypted(store))`, for what is encrypted does not compress. Updates up to 16 KB are
 * compressed in place (well below 0.1 ms); larger ones and checkpoints in the thread pool.
 *
 * Every compressed value says that it is one, so this can be put around a store that already has values, and changes its
 * threshold at any time. A value that is encrypted, and should have been opened inside, is refused with
 * `store-misconfigured`.
 */
export function compressed(store: DocumentStore, options: CompressedOptions = {}): DocumentStore {
  return new CompressedStore(store, options.thresholdBytes ?? 1024)
}

const headerBytes = kindBytes + 4
const syncBytesMax = 16 << 10
const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }
const compressAsync = promisify(brotliCompress)
const decompressAsync = promisify(brotliDecompress)

class CompressedStore extends StoreWrapper {
  readonly #thresholdBytes: number

  constructor(inner: DocumentStore, thresholdBytes: number) {
    super(inner, 'compressed')
    this.#thresholdBytes = thresholdBytes
  }

  override async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    if (batch.every(({ entries }) => entries.every(({ update }) => this.#isStoredAsGiven(update))))
      return await super.append(batch)
    const isLarge = batch.some(({ entries }) => entries.some(({ update }) => update.length > syncBytesMax))
    return await super.append(
      isLarge ? await this.#encodeSlowly(batch) : batch.map((append) => this.#encode(append)),
    )
  }

  override async *read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    for await (const item of super.read(documentId, range))
      yield isCheckpoint(item)
        ? await decodeCheckpoint(item, documentId)
        : await decodeEntry(item, documentId)
  }

  override checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    return super.checkpoint(documentId, {
      ...checkpoint,
      stateVector: asItIs(checkpoint.stateVector),
      state: encodeState(checkpoint.state, this.#thresholdBytes),
    })
  }

  protected override follow(subscribe: Subscribe, call: SubscribeCall): Promise<Unsubscribe> {
    return followDecoded(subscribe, call, (entries) =>
      Promise.all(entries.map((entry) => decodeEntry(entry, call.documentId))),
    )
  }

  #isStoredAsGiven(update: Uint8Array): boolean {
    return update.length < this.#thresholdBytes && kindOf(update) === undefined
  }

  #encode(append: Append): Append {
    const encode = (update: Uint8Array): Uint8Array =>
      update.length < this.#thresholdBytes
        ? asItIs(update)
        : choose(update, brotliCompressSync(update, quality))
    return { ...append, entries: append.entries.map((entry) => ({ ...entry, update: encode(entry.update) })) }
  }

  async #encodeSlowly(batch: readonly Append[]): Promise<readonly Append[]> {
    const encoded: Append[] = []
    for (const append of batch) {
      const entries = append.entries.map(async (entry) => ({
        ...entry,
        update: await encodeValue(entry.update, this.#thresholdBytes),
      }))
      encoded.push({ ...append, entries: await Promise.all(entries) })
    }
    return encoded
  }
}

async function encodeValue(value: Uint8Array, thresholdBytes: number): Promise<Uint8Array> {
  return value.length < thresholdBytes ? asItIs(value) : choose(value, await compressAsync(value, quality))
}

async function decodeEntry(entry: LogEntry, documentId: string): Promise<LogEntry> {
  return {
    ...entry,
    update: await decodeValue(entry.update, { documentId, what: `entry ${entry.revision}` }),
  }
}

async function* encodeState(
  state: AsyncIterable<Uint8Array>,
  thresholdBytes: number,
): AsyncIterable<Uint8Array> {
  const { kind, from } = await beginningOf(state)
  // One that begins as ours do must not be taken for one.
  if (thresholdBytes === Infinity && kind === undefined) {
    yield* from(0)
    return
  }
  yield headerOf(valueKind.frames)
  const threshold = thresholdBytes === Infinity ? Infinity : 0
  for await (const chunk of rechunk(from(0))) yield encodeFrame([await encodeValue(chunk, threshold)])
}

async function decodeCheckpoint(checkpoint: Checkpoint, documentId: string): Promise<Checkpoint> {
  const place = { documentId, what: 'checkpoint', frameBytesMax: 2 * chunkBytesMax }
  const stateVector = await decodeValue(checkpoint.stateVector, place)
  return { ...checkpoint, stateVector, state: decodeState(checkpoint.state, place) }
}

async function* decodeState(
  state: AsyncIterable<Uint8Array>,
  place: { readonly documentId: string; readonly what: string; readonly frameBytesMax: number },
): AsyncIterable<Uint8Array> {
  const { kind, from } = await beginningOf(state)
  if (kind !== valueKind.frames) yield* from(0)
  else for await (const frame of readFrames(from(kindBytes), place)) yield await decodeValue(frame, place)
}

/** What kind of value a stream is, and the stream itself, from some byte of its header on. */
async function beginningOf(source: AsyncIterable<Uint8Array>): Promise<{
  readonly kind: number | undefined
  readonly from: (byte: number) => AsyncGenerator<Uint8Array>
}> {
  const chunks = source[Symbol.asyncIterator]()
  let begin: Uint8Array = new Uint8Array()
  while (begin.length < kindBytes) {
    const next = await chunks.next()
    if (next.done === true) break
    begin = begin.length === 0 ? next.value : joinBytes([begin, next.value])
  }
  async function* from(byte: number): AsyncGenerator<Uint8Array> {
    try {
      if (begin.length > byte) yield begin.subarray(byte)
      for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value
    } finally {
      await chunks.return?.()
    }
  }
  return { kind: kindOf(begin), from }
}

async function decodeValue(
  stored: Uint8Array,
  place: { readonly documentId: string; readonly what: string },
): Promise<Uint8Array> {
  const kind = kindOf(stored)
  if (kind === undefined) return stored
  if (isSealed(stored)) throw isEncrypted(place)
  if (kind === valueKind.asIs) return stored.slice(kindBytes)
  if (kind !== valueKind.brotli || stored.length < headerBytes) throw corrupt(place, 'it is of another kind')
  const length = new DataView(stored.buffer, stored.byteOffset).getUint32(kindBytes, true)
  if (length > limitTable.documentBytesMax.default) throw corrupt(place, `it claims ${length} bytes`)
  const bytes = stored.subarray(headerBytes)
  try {
    const options = { maxOutputLength: Math.max(length, 1) }
    const value =
      length > syncBytesMax ? await decompressAsync(bytes, options) : brotliDecompressSync(bytes, options)
    if (value.length === length) return new Uint8Array(value.buffer, value.byteOffset, value.length)
  } catch {
    throw corrupt(place, 'it does not decompress')
  }
  throw corrupt(place, `it does not decompress to ${length} bytes`)
}

/** The smaller of the two. */
function choose(value: Uint8Array, brotli: Uint8Array): Uint8Array {
  if (brotli.length + headerBytes > value.length) return asItIs(value)
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, value.length, true)
  return joinBytes([headerOf(valueKind.brotli), length, brotli])
}

function asItIs(value: Uint8Array): Uint8Array {
  return kindOf(value) === undefined ? value : joinBytes([headerOf(valueKind.asIs), value])
}

function isEncrypted(place: { readonly documentId: string; readonly what: string }): PolyphonyError {
  const { documentId, what } = place
  return new PolyphonyError(
    'store-misconfigured',
    `"${documentId}" is encrypted: give the server the key ring that it was written with (--encryption-keys).`,
    { documentId, extra: { record: what } },
  )
}

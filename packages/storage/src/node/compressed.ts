import { promisify } from 'node:util'
import {
  brotliCompress,
  brotliCompressSync,
  brotliDecompress,
  brotliDecompressSync,
  constants,
} from 'node:zlib'
import { limitTable } from '@polyphony/core'
import { chunkBytesMax, rechunk } from '../chunks.ts'
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

export interface CompressedOptions {
  /**
   * Updates below this many bytes are stored as they are. Default 1,024: starting brotli costs some 20 to 30 µs whatever
   * the size, which a short update does not pay back.
   */
  readonly thresholdBytes?: number | undefined
}

/**
 * Stores updates and checkpoints in brotli's fastest setting: text and JSON become a fifth to a third. Put it outside of
 * `encrypted`, as in `compressed(encrypted(store))`, for what is encrypted does not compress. Updates up to 16 KB are
 * compressed in place (well below 0.1 ms); larger ones and checkpoints in the thread pool.
 */
export function compressed(store: DocumentStore, options: CompressedOptions = {}): DocumentStore {
  return new CompressedStore(store, options.thresholdBytes ?? 1024)
}

/*
 * A stored value is a byte that says how, and the value: 0 as it is, or 1, its length (uint32, little-endian), and brotli.
 * The state of a checkpoint is a sequence of frames, each a value of at most 256 KB.
 */
const asIs = Uint8Array.of(0)
const headerBytes = 5
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
    const isLarge = batch.some(({ entries }) => entries.some(({ update }) => update.length > syncBytesMax))
    return await super.append(
      isLarge ? await this.#encodeSlowly(batch) : batch.map((append) => this.#encode(append)),
    )
  }

  override async *read(documentId: string, range?: ReadRange): AsyncIterable<Checkpoint | LogEntry> {
    for await (const item of super.read(documentId, range))
      yield isCheckpoint(item) ? decodeCheckpoint(item, documentId) : await decodeEntry(item, documentId)
  }

  override checkpoint(documentId: string, checkpoint: Checkpoint): Promise<void> {
    return super.checkpoint(documentId, { ...checkpoint, state: encodeState(checkpoint.state) })
  }

  protected override follow(subscribe: Subscribe, call: SubscribeCall): Promise<Unsubscribe> {
    return followDecoded(subscribe, call, (entries) =>
      Promise.all(entries.map((entry) => decodeEntry(entry, call.documentId))),
    )
  }

  #encode(append: Append): Append {
    const encode = (update: Uint8Array): Uint8Array =>
      update.length < this.#thresholdBytes
        ? join(asIs, update)
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
  return value.length < thresholdBytes
    ? join(asIs, value)
    : choose(value, await compressAsync(value, quality))
}

async function decodeEntry(entry: LogEntry, documentId: string): Promise<LogEntry> {
  return {
    ...entry,
    update: await decodeValue(entry.update, { documentId, what: `entry ${entry.revision}` }),
  }
}

async function* encodeState(state: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const chunk of rechunk(state)) yield encodeFrame([await encodeValue(chunk, 0)])
}

function decodeCheckpoint(checkpoint: Checkpoint, documentId: string): Checkpoint {
  const place = { documentId, what: 'checkpoint', frameBytesMax: 2 * chunkBytesMax }
  return { ...checkpoint, state: decodeState(checkpoint.state, place) }
}

async function* decodeState(
  state: AsyncIterable<Uint8Array>,
  place: { readonly documentId: string; readonly what: string; readonly frameBytesMax: number },
): AsyncIterable<Uint8Array> {
  for await (const frame of readFrames(state, place)) yield await decodeValue(frame, place)
}

async function decodeValue(
  stored: Uint8Array,
  place: { readonly documentId: string; readonly what: string },
): Promise<Uint8Array> {
  if (stored[0] === 0) return stored.slice(1)
  if (stored[0] !== 1 || stored.length < headerBytes)
    throw corrupt(place, 'it was not stored by `compressed`')
  const length = new DataView(stored.buffer, stored.byteOffset).getUint32(1, true)
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
  if (brotli.length + headerBytes > value.length) return join(asIs, value)
  const header = new Uint8Array(headerBytes)
  header[0] = 1
  new DataView(header.buffer).setUint32(1, value.length, true)
  return join(header, brotli)
}

function join(header: Uint8Array, value: Uint8Array): Uint8Array {
  const joined = new Uint8Array(header.length + value.length)
  joined.set(header)
  joined.set(value, header.length)
  return joined
}

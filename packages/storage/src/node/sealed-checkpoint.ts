import { chunkBytesMax, rechunk } from '../chunks.ts'
import type { Checkpoint, Revision } from '../document-store.ts'
import { corrupt } from '../record.ts'
import { sealBytes, type DataKey, type DataKeys } from './data-keys.ts'
import { encodeFrame, readFrames } from './frames.ts'
import { Place } from './place.ts'
import { openValue, Sealer } from './sealed-value.ts'
import { valueKind } from './value-kind.ts'

export function sealCheckpoint(
  key: DataKey,
  documentId: string,
  incarnation: string,
  checkpoint: Checkpoint,
): Checkpoint {
  const { revision } = checkpoint
  const sealer = new Sealer(new Place(valueKind.sealedStateVector, documentId, incarnation))
  const stateVector = sealer.seal(key, checkpoint.stateVector, revision)
  const chunks = new ChunkPlace(documentId, incarnation, revision, stateVector)
  return { revision, incarnation, stateVector, state: sealState(key, checkpoint.state, chunks) }
}

/** The state is opened as it is read. `writtenIn` is the incarnation at that time. */
export async function openCheckpoint(
  keys: DataKeys,
  documentId: string,
  checkpoint: Checkpoint,
): Promise<{ readonly checkpoint: Checkpoint; readonly writtenIn: string }> {
  const { revision, stateVector } = checkpoint
  const place = { kind: valueKind.sealedStateVector, documentId, revision }
  const { plaintext, incarnation, key } = await openValue(keys, stateVector, place, 'checkpoint')
  const chunks = new ChunkPlace(documentId, incarnation, revision, stateVector)
  const state = openState(key, checkpoint.state, chunks)
  return { checkpoint: { ...checkpoint, stateVector: plaintext, state }, writtenIn: incarnation }
}

async function* sealState(
  key: DataKey,
  state: AsyncIterable<Uint8Array>,
  place: ChunkPlace,
): AsyncIterable<Uint8Array> {
  let number = 0
  const seal = (chunk: Uint8Array, last: boolean) =>
    encodeFrame([key.seal(chunk, place.at(number++, last), Uint8Array.of(last ? 1 : 0))])
  // One behind, to know the last: that is the one that says so, and makes a state that was cut off noticeable.
  let waiting: Uint8Array = new Uint8Array()
  for await (const chunk of rechunk(state)) {
    if (waiting.length > 0) yield seal(waiting, false)
    waiting = chunk
  }
  yield seal(waiting, true)
}

async function* openState(
  key: DataKey,
  state: AsyncIterable<Uint8Array>,
  place: ChunkPlace,
): AsyncIterable<Uint8Array> {
  const { documentId } = place
  let number = 0
  let ended = false
  const frames = readFrames(state, {
    documentId,
    what: 'checkpoint',
    frameBytesMax: 1 + sealBytes + chunkBytesMax,
  })
  for await (const frame of frames) {
    const what = `checkpoint, chunk ${number + 1}`
    if (ended) throw corrupt({ documentId, what }, 'it comes after the last')
    ended = frame[0] === 1
    yield openChunk(key, frame, place.at(number++, ended), { documentId, what })
  }
  if (!ended) throw corrupt({ documentId, what: 'checkpoint' }, 'its last chunk is missing')
}

function openChunk(
  key: DataKey,
  frame: Uint8Array,
  associated: Uint8Array,
  name: { readonly documentId: string; readonly what: string },
): Uint8Array {
  try {
    return key.open(frame.subarray(1), associated)
  } catch {
    throw corrupt(name, 'it does not authenticate: it was changed, or belongs elsewhere')
  }
}

/** Where the chunks of one checkpoint belong. */
class ChunkPlace {
  readonly documentId: string
  readonly #place: Place
  readonly #revision: Revision
  /** The tag of the sealed state vector: no other checkpoint has the same, even of this revision. */
  readonly #name: string

  constructor(documentId: string, incarnation: string, revision: Revision, stateVector: Uint8Array) {
    this.documentId = documentId
    this.#place = new Place(valueKind.sealedChunk, documentId, incarnation)
    this.#revision = revision
    this.#name = Buffer.from(stateVector.subarray(-16)).toString('hex')
  }

  at(number: number, last: boolean): Uint8Array {
    return this.#place.partAt(this.#revision, `${this.#name} ${number} ${last ? 'last' : 'more'}`)
  }
}

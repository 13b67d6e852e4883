import { IdSet } from '@polyphony/core'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import type { Clocks } from './log-piece.ts'
import type { Struct } from './update-reader.ts'
import { writeDeletes } from './update-writer.ts'
import { WaitingList } from './waiting-list.ts'

/** A part of a state. */
export interface StatePiece {
  readonly update: Uint8Array
  /** End clock of each client that it brings structs of. */
  readonly clocks: Clocks
}

/** How much one piece holds. A piece ends with the struct that brings it to a bound. */
export interface PieceBounds {
  readonly structsMax: number
  readonly bytesMax: number
  /** Units of one struct, which are elements of a list or characters of a text; larger ones are cut. */
  readonly unitsMax: number
}

/** What takes some 10 ms to apply, and is sent as one frame. */
export const defaultPieceBounds: PieceBounds = { structsMax: 4_096, bytesMax: 1 << 20, unitsMax: 1 << 15 }

/**
 * The state of a document as updates of a bounded size, each of which integrates once those before it are there. So
 * whoever takes a large document in, a room, a replica or a client, can do it in turns. Nothing for an empty document.
 * Cost: O(structs).
 */
export function* statePieces(doc: Y.Doc, bounds: PieceBounds = defaultPieceBounds): Generator<StatePiece> {
  const { structsMax, bytesMax, unitsMax } = bounds
  let piece = new Piece()
  for (const struct of inOrder(doc)) {
    for (const part of cut(struct, unitsMax)) {
      piece.add(part)
      if (piece.structs < structsMax && piece.bytes < bytesMax) continue
      yield piece.encode()
      piece = new Piece()
    }
  }
  for (const [client, ranges] of Y.createDeleteSetFromStructStore(doc.store).clients) {
    for (const { clock, len } of ranges) {
      piece.addDelete(client, clock, len)
      if (piece.structs < structsMax) continue
      yield piece.encode()
      piece = new Piece()
    }
  }
  if (piece.structs > 0) yield piece.encode()
}

interface Run {
  readonly clock: number
  end: number
  readonly encoder: Y.UpdateEncoderV1
  structs: number
  bytes: number
}

/** An update in the making. */
class Piece {
  readonly #runs = new Map<number, Run>()
  readonly #deletes = new IdSet()
  /** Structs and ranges of the delete set. */
  structs = 0
  bytes = 0

  add(struct: Struct): void {
    const { client, clock } = struct.id
    const fresh = (): Run => ({ clock, end: clock, encoder: new Y.UpdateEncoderV1(), structs: 0, bytes: 0 })
    const run = this.#runs.get(client) ?? fresh()
    this.#runs.set(client, run)
    struct.write(run.encoder, 0)
    this.bytes -= run.bytes
    run.bytes = encoding.length(run.encoder.restEncoder)
    this.bytes += run.bytes
    run.structs += 1
    run.end = clock + struct.length
    this.structs += 1
  }

  addDelete(client: number, clock: number, length: number): void {
    this.#deletes.add(client, clock, length)
    this.structs += 1
  }

  encode(): StatePiece {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, this.#runs.size)
    for (const [client, { clock, encoder: run, structs }] of [...this.#runs].toSorted(([a], [b]) => b - a)) {
      encoding.writeVarUint(encoder, structs)
      encoding.writeVarUint(encoder, client)
      encoding.writeVarUint(encoder, clock)
      encoding.writeUint8Array(encoder, run.toUint8Array())
    }
    writeDeletes(encoder, this.#deletes)
    const clocks = new Map([...this.#runs].map(([client, { end }]) => [client, end]))
    return { update: encoding.toUint8Array(encoder), clocks }
  }
}

/** All structs, every one after those that it builds on; the structs of a client in the order of their clocks. */
function* inOrder(doc: Y.Doc): Generator<Struct> {
  const reached = new Map<number, number>()
  const clockOf = (client: number): number => reached.get(client) ?? 0
  const positions = new Map<number, number>()
  const waiting = new WaitingList()
  const ready = [...doc.store.clients.keys()]
  for (let client = ready.pop(); client !== undefined; client = ready.pop()) {
    const structs = doc.store.clients.get(client) ?? []
    let at = positions.get(client) ?? 0
    for (; at < structs.length; at++) {
      const struct = structs[at] as Struct
      const lacks = lackingOf(struct, clockOf)
      if (lacks !== undefined) {
        waiting.add(client, lacks)
        break
      }
      yield struct
      reached.set(client, struct.id.clock + struct.length)
    }
    positions.set(client, at)
    ready.push(...waiting.take(client, clockOf(client)))
  }
}

/** An id that an integrated struct builds on and that is not reached yet. */
function lackingOf(struct: Struct, clockOf: (client: number) => number): Y.ID | undefined {
  if (!(struct instanceof Y.Item)) return undefined
  const { origin, rightOrigin, id } = struct
  // The place of an item is written only when it has no neighbours to tell it.
  const parent = origin === null && rightOrigin === null ? parentIdOf(struct) : null
  for (const needed of [origin, rightOrigin, parent]) {
    if (needed !== null && needed.client !== id.client && needed.clock >= clockOf(needed.client))
      return needed
  }
  return undefined
}

function parentIdOf({ parent }: Y.Item): Y.ID | null {
  return parent instanceof Y.AbstractType ? (parent._item?.id ?? null) : parent
}

/** The struct in parts of at most `unitsMax` units, as Yjs would cut it. Yjs joins them again where it takes them in. */
function* cut(struct: Struct, unitsMax: number): Generator<Struct> {
  if (!(struct instanceof Y.Item) || struct.length <= unitsMax || !isDivisible(struct.content)) {
    yield struct
    return
  }
  const { id, origin, rightOrigin, parent, parentSub, content, length } = struct
  for (let from = 0; from < length;) {
    const to = endOfPart(content, Math.min(length, from + unitsMax))
    const partId = Y.createID(id.client, id.clock + from)
    const partOrigin = from === 0 ? origin : Y.createID(id.client, id.clock + from - 1)
    yield new Y.Item(
      partId,
      null,
      partOrigin,
      null,
      rightOrigin,
      parent,
      parentSub,
      partOf(content, from, to),
    )
    from = to
  }
}

type Divisible = Y.ContentString | Y.ContentAny

function isDivisible(content: Y.Item['content']): content is Divisible {
  return content instanceof Y.ContentString || content instanceof Y.ContentAny
}

/** A character of two units is not cut in the middle. */
function endOfPart(content: Divisible, end: number): number {
  if (!(content instanceof Y.ContentString)) return end
  const last = content.str.charCodeAt(end - 1)
  return end < content.str.length && last >= 0xd800 && last <= 0xdbff ? end + 1 : end
}

function partOf(content: Divisible, from: number, to: number): Divisible {
  return content instanceof Y.ContentString
    ? new Y.ContentString(content.str.slice(from, to))
    : new Y.ContentAny(content.arr.slice(from, to))
}

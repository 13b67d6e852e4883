import { IdSet, PolyphonyError, type Limits } from '@polyphony/core'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { DepthIndex } from './depth-index.ts'
import { isContentless, type ParsedUpdate, type Struct } from './update-reader.ts'
import { writeUpdate, type StructRun } from './update-writer.ts'
import { WaitingList } from './waiting-list.ts'

/** What an entry of the log brings: the end clock of each client it advances, and what it deletes. */
export interface Increment {
  readonly clocks: ReadonlyMap<number, number>
  readonly deletes: IdSet
}

/** What a room should do with an update. */
export interface Assessment {
  /** The part that integrates and is new; `undefined` when there is none. The very bytes when that is all of it. */
  readonly fresh: { readonly update: Uint8Array; readonly increment: Increment } | undefined
  /** The part that cannot integrate yet, and one id that it waits for. */
  readonly blocked:
    | { readonly update: Uint8Array; readonly missing: { readonly client: number; readonly clock: number } }
    | undefined
  /** Whether everything in the update was known already. */
  readonly known: boolean
}

/**
 * How far a document's log reaches: the state vector of what is *integrated* (a struct counts when its clock is
 * contiguous and its origins and parent are present) and everything that is deleted. Needs no `Y.Doc`.
 */
export class Frontier {
  readonly #clocks = new Map<number, number>()
  readonly #deletes = new IdSet()
  readonly #depths: DepthIndex

  constructor(limits: Limits) {
    this.#depths = new DepthIndex(limits.updateDepthMax)
  }

  clock(client: number): number {
    return this.#clocks.get(client) ?? 0
  }

  /** The state vector in Yjs' encoding. */
  encodeStateVector(): Uint8Array {
    const encoder = encoding.createEncoder()
    encoding.writeVarUint(encoder, this.#clocks.size)
    for (const [client, clock] of [...this.#clocks].toSorted(([a], [b]) => b - a)) {
      encoding.writeVarUint(encoder, client)
      encoding.writeVarUint(encoder, clock)
    }
    return encoding.toUint8Array(encoder)
  }

  /**
   * Decides what of an update is new, what is known, and what must wait, and takes the new part in.
   * Throws `update-too-large` when it nests too deep, unless it is from the log; then nothing was taken in.
   * Cost: O(structs × log clients), also for updates made to be slow.
   */
  admit(update: ParsedUpdate, from: 'outside' | 'log' = 'outside'): Assessment {
    const walk = this.#walk(update, from === 'log')
    const { freshDeletes, blockedDeletes, knownDeletes } = this.#splitDeletes(update.deletes, walk.ends)
    const hasFresh = walk.fresh.size > 0 || !freshDeletes.isEmpty
    const hasBlocked = walk.blocked.size > 0 || !blockedDeletes.isEmpty
    for (const [client, end] of walk.ends) this.#clocks.set(client, end)
    const whole = !hasBlocked && !walk.skippedKnown && !knownDeletes
    const written = hasFresh && !whole ? writeUpdate(walk.fresh, freshDeletes) : update.bytes
    for (const { structs, offset } of walk.fresh.values()) {
      structs.forEach((struct, index) => {
        const cut = index === 0 ? offset : 0
        if (isContentless(struct))
          freshDeletes.add(struct.id.client, struct.id.clock + cut, struct.length - cut)
      })
    }
    this.#deletes.addAll(freshDeletes)
    return {
      fresh: hasFresh
        ? { update: written, increment: { clocks: walk.ends, deletes: freshDeletes } }
        : undefined,
      blocked: hasBlocked
        ? {
            update: writeUpdate(walk.blocked, blockedDeletes),
            missing: walk.missing ?? firstOf(blockedDeletes),
          }
        : undefined,
      known: !hasFresh && !hasBlocked,
    }
  }

  /** Whether an update holds anything that is not known yet. Cost: O(structs) when it does not. */
  hasNews(update: ParsedUpdate): boolean {
    for (const [client, structs] of update.structs) {
      const last = structs.findLast((struct) => !(struct instanceof Y.Skip))
      if (last !== undefined && last.id.clock + last.length > this.clock(client)) return true
    }
    for (const { client, clock, length } of update.deletes.entries())
      for (const _gap of this.#deletes.missing(client, clock, length)) return true
    return false
  }

  /** Deletions that follow from the committed state without standing in any update (a lost concurrent map write). */
  addImpliedDeletes(deletes: IdSet): void {
    this.#deletes.addAll(deletes)
  }

  #walk(update: ParsedUpdate, isStored: boolean): Walk {
    let tooDeep = false
    const walk = walkStructs(
      update,
      (client) => this.clock(client),
      (struct) => {
        if (struct instanceof Y.Item && !this.#depths.place(struct, isStored)) tooDeep = true
      },
    )
    if (tooDeep) {
      this.#depths.forgetPlaced()
      throw new PolyphonyError('update-too-large', 'The update nests shared types deeper than the limit.', {
        limit: 'updateDepthMax',
      })
    }
    this.#depths.keepPlaced()
    return walk
  }

  #splitDeletes(deletes: IdSet, ends: ReadonlyMap<number, number>) {
    const freshDeletes = new IdSet()
    const blockedDeletes = new IdSet()
    let knownDeletes = false
    for (const { client, clock, length } of deletes.entries()) {
      const end = ends.get(client) ?? this.clock(client)
      const reachable = Math.max(0, Math.min(length, end - clock))
      blockedDeletes.add(client, clock + reachable, length - reachable)
      let missing = 0
      for (const gap of this.#deletes.missing(client, clock, reachable)) {
        freshDeletes.add(client, gap.clock, gap.length)
        missing += gap.length
      }
      if (missing < reachable) knownDeletes = true
    }
    return { freshDeletes, blockedDeletes, knownDeletes }
  }
}

interface Walk {
  readonly fresh: Map<number, StructRun>
  readonly blocked: Map<number, StructRun>
  /** End clock of each client that the update advances. */
  readonly ends: Map<number, number>
  readonly missing: { readonly client: number; readonly clock: number } | undefined
  readonly skippedKnown: boolean
}

/** Goes through every client's structs as far as they integrate; a client that waits is taken up again when its turn comes. */
function walkStructs(
  update: ParsedUpdate,
  clockOf: (client: number) => number,
  visit: (struct: Struct) => void,
): Walk {
  const ends = new Map<number, number>()
  const reached = (client: number): number => ends.get(client) ?? clockOf(client)
  const starts = new Map<number, { readonly index: number; readonly offset: number }>()
  const positions = new Map<number, number>()
  const waiting = new WaitingList()
  const ready = [...update.structs.keys()]
  const lacking = new Map<number, { readonly client: number; readonly clock: number }>()
  let skippedKnown = false
  for (let client = ready.pop(); client !== undefined; client = ready.pop()) {
    const structs = update.structs.get(client) ?? []
    let at = positions.get(client) ?? 0
    lacking.delete(client)
    for (; at < structs.length; at++) {
      const struct = structs[at] as Struct
      const { clock } = struct.id
      const end = clock + struct.length
      if (struct instanceof Y.Skip) continue
      if (end <= reached(client)) {
        skippedKnown = true
        continue
      }
      const lacks = clock > reached(client) ? { client, clock: clock - 1 } : dependencyOf(struct, reached)
      if (lacks !== undefined) {
        lacking.set(client, lacks)
        waiting.add(client, lacks)
        break
      }
      if (!starts.has(client)) {
        const offset = reached(client) - clock
        if (offset > 0) skippedKnown = true
        starts.set(client, { index: at, offset })
      }
      ends.set(client, end)
      visit(struct)
    }
    positions.set(client, at)
    ready.push(...waiting.take(client, reached(client)))
  }
  const fresh = new Map<number, StructRun>()
  const blocked = new Map<number, StructRun>()
  for (const [client, structs] of update.structs) {
    const stop = positions.get(client) ?? structs.length
    const start = starts.get(client)
    if (start !== undefined) {
      fresh.set(client, {
        structs: structs.slice(start.index, stop).filter((struct) => !(struct instanceof Y.Skip)),
        offset: start.offset,
      })
    }
    if (stop < structs.length) blocked.set(client, { structs: structs.slice(stop), offset: 0 })
  }
  const [missing] = lacking.values()
  return { fresh, blocked, ends, missing, skippedKnown }
}

/** The first id that a struct needs and that is not there yet. */
function dependencyOf(
  struct: Struct,
  reached: (client: number) => number,
): { client: number; clock: number } | undefined {
  if (!(struct instanceof Y.Item)) return undefined
  const { client, clock } = struct.id
  const needs = (id: Y.ID | null): boolean =>
    id !== null && id.clock >= reached(id.client) && !(id.client === client && id.clock < clock)
  if (needs(struct.origin)) return struct.origin ?? undefined
  if (needs(struct.rightOrigin)) return struct.rightOrigin ?? undefined
  if (struct.parent instanceof Y.ID && needs(struct.parent)) return struct.parent
  return undefined
}

function firstOf(deletes: IdSet): { client: number; clock: number } {
  for (const { client, clock } of deletes.entries()) return { client, clock }
  throw new PolyphonyError('internal', 'A blocked update waits for nothing.')
}

import { IdSet, PolyphonyError, type Limits } from '@polyphony/core'
import * as Y from 'yjs'

export type Struct = Y.Item | Y.GC | Y.Skip

/** A Yjs update (v1), taken apart. */
export interface ParsedUpdate {
  readonly bytes: Uint8Array
  /** Per client, in ascending order of clocks, as they stood in the update. */
  readonly structs: ReadonlyMap<number, readonly Struct[]>
  readonly deletes: IdSet
}

/**
 * Takes an update apart and checks what can be checked without the document.
 * Throws `invalid-update` for bytes that are not one, `update-too-large` when it exceeds a limit. Cost: O(bytes).
 *
 * `live` selects the stricter limit of claimed clocks: a step 2 may carry the tombstones of a whole offline history.
 */
export function readUpdate(bytes: Uint8Array, limits: Limits, live: boolean): ParsedUpdate {
  const { structs, ds } = decode(bytes)
  if (structs.length > limits.updateStructsMax) {
    throw tooLarge(
      'updateStructsMax',
      `The update has ${structs.length} structs; at most ${limits.updateStructsMax} are accepted.`,
    )
  }
  const byClient = new Map<number, Struct[]>()
  let contentless = 0
  for (const struct of structs) {
    const { client, clock } = struct.id
    const list = byClient.get(client)
    if (list === undefined) {
      byClient.set(client, [struct])
    } else {
      const previous = list[list.length - 1] as Struct
      if (clock !== previous.id.clock + previous.length) throw invalid('its clocks do not follow each other')
      list.push(struct)
    }
    if (!Number.isSafeInteger(clock + struct.length) || struct.length < 1)
      throw invalid('it holds a struct of impossible length')
    if (isContentless(struct)) contentless += struct.length
  }
  const [limit, max] = live
    ? (['liveClockJumpMax', limits.liveClockJumpMax] as const)
    : (['clockJumpMax', limits.clockJumpMax] as const)
  if (contentless > max)
    throw tooLarge(
      limit,
      `The update claims ${contentless} clocks without content for them; at most ${max} are accepted.`,
    )
  return { bytes, structs: byClient, deletes: readDeletes(ds) }
}

/** End clock of each client that an update holds structs of. O(structs). */
export function clocksOf(update: Uint8Array): ReadonlyMap<number, number> {
  return Y.parseUpdateMeta(update).to
}

/** Structs that are deleted by themselves: they carry a length and nothing else. */
export function isContentless(struct: Struct): boolean {
  return struct instanceof Y.GC || (struct instanceof Y.Item && struct.content instanceof Y.ContentDeleted)
}

function decode(bytes: Uint8Array): ReturnType<typeof Y.decodeUpdate> {
  try {
    return Y.decodeUpdate(bytes)
  } catch (cause) {
    throw new PolyphonyError('invalid-update', `These ${bytes.length} bytes are not a Yjs update (v1).`, {
      cause,
    })
  }
}

function readDeletes(ds: {
  readonly clients: ReadonlyMap<number, readonly { clock: number; len: number }[]>
}): IdSet {
  const deletes = new IdSet()
  for (const [client, items] of ds.clients) {
    for (const { clock, len } of items) {
      if (!Number.isSafeInteger(clock + len)) throw invalid('its delete set holds an impossible range')
      deletes.add(client, clock, len)
    }
  }
  return deletes
}

function invalid(reason: string): PolyphonyError {
  return new PolyphonyError('invalid-update', `The update is not valid: ${reason}.`)
}

function tooLarge(limit: string, message: string): PolyphonyError {
  return new PolyphonyError('update-too-large', message, { limit })
}

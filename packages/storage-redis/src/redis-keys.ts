/**
 * Where a document's data are. The document id is the hash tag of each key, so that a cluster keeps them on one node and
 * scripts may use them together.
 *
 *   {prefix}:{<id>}:head        hash    incarnation, revision, end, first, mark, deletedAtMs, checkpoint…
 *   {prefix}:{<id>}:log         stream  id `revision-0`: m(ark), o(ffset), e(ntry), and of a large one l(ength)
 *   {prefix}:{<id>}:state:<set> hash    the chunks of a checkpoint by number, and its record as `record`
 *   {prefix}:{<id>}:large:<set> hash    the chunks of a large entry by number
 *   {prefix}:{<id>}:larges      sorted set of these sets by revision
 *   {prefix}:{<id>}:changed     channel
 *   {prefix}:{ids-<n>}          sorted set of document ids, all with score 0
 */
export interface DocumentKeys {
  readonly head: string
  readonly log: string
  /** The key of a checkpoint's chunks is this and the name of the set. */
  readonly statePrefix: string
  /** The key of a large entry's chunks is this and the name of the set. */
  readonly largePrefix: string
  readonly larges: string
  readonly channel: string
}

/** How many sorted sets the document ids are spread over. Part of the stored format. */
export const idShards = 16

export class RedisKeys {
  readonly #prefix: string

  /** @param prefix of every key and channel; throws `TypeError` if a cluster would take a part of it for a hash tag. */
  constructor(prefix: string) {
    if (prefix === '' || /[{}]/.test(prefix))
      throw new TypeError(`A key prefix is not empty and has no braces: "${prefix}"`)
    this.#prefix = prefix
  }

  document(documentId: string): DocumentKeys {
    const base = `${this.#prefix}:{${escapeTag(documentId)}}:`
    return {
      head: `${base}head`,
      log: `${base}log`,
      statePrefix: `${base}state:`,
      largePrefix: `${base}large:`,
      larges: `${base}larges`,
      channel: `${base}changed`,
    }
  }

  /** The sorted set with this number. */
  ids(shard: number): string {
    return `${this.#prefix}:{ids-${shard}}`
  }

  /** The sorted set that an id belongs to. */
  idsOf(documentId: string): string {
    let hash = 0x811c9dc5
    for (const byte of Buffer.from(documentId)) hash = Math.imul(hash ^ byte, 0x01000193)
    return this.ids((hash >>> 0) % idShards)
  }

  bus(topic: string): string {
    return `${this.#prefix}:bus:${topic}`
  }
}

/** A hash tag ends at the first closing brace; an escaped one and its escape character keep ids apart. */
function escapeTag(documentId: string): string {
  return documentId.replaceAll('%', '%25').replaceAll('}', '%7D')
}

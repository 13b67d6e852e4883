import { compareDocumentIds, matchesQuery, type DocumentInfo, type ListQuery } from '@polyphony/storage'
import type { RedisClient } from './redis-connection.ts'
import { idShards, type RedisKeys } from './redis-keys.ts'
import type { RedisReader } from './redis-reader.ts'
import { storeFailed } from './redis-reply.ts'

const pageLength = 100
const knownMax = 100_000

/**
 * Which documents there are: sorted sets of ids, which Redis keeps in the order of their bytes. An id enters before its
 * document comes into being, so that no crash can leave a document out; ids without a document are passed over.
 */
export class RedisIndex {
  readonly #keys: RedisKeys
  readonly #reader: RedisReader
  readonly #known = new Set<string>()

  constructor(keys: RedisKeys, reader: RedisReader) {
    this.#keys = keys
    this.#reader = reader
  }

  /** Settles once all these ids are in the index; costs a round trip for those that this process has not seen before. */
  async add(client: RedisClient, documentIds: readonly string[]): Promise<void> {
    const unknown = documentIds.filter((documentId) => !this.#known.has(documentId))
    if (unknown.length === 0) return
    try {
      await Promise.all(unknown.map((documentId) => client.zadd(this.#keys.idsOf(documentId), 0, documentId)))
    } catch (cause) {
      throw storeFailed(cause)
    }
    if (this.#known.size + unknown.length > knownMax) this.#known.clear()
    for (const documentId of unknown) this.#known.add(documentId)
  }

  /** The server may have lost ids: it was away. */
  forget(): void {
    this.#known.clear()
  }

  async *list(client: RedisClient, query: ListQuery): AsyncGenerator<DocumentInfo> {
    let left = query.limit ?? Infinity
    if (left <= 0) return
    let page: string[] = []
    for await (const documentId of this.#ids(client, query)) {
      page.push(documentId)
      if (page.length < Math.min(pageLength, left)) continue
      for (const info of await this.#infos(page, query)) {
        yield info
        if (--left <= 0) return
      }
      page = []
    }
    for (const info of (await this.#infos(page, query)).slice(0, left)) yield info
  }

  async #infos(documentIds: readonly string[], query: ListQuery): Promise<readonly DocumentInfo[]> {
    const heads = await this.#reader.heads(documentIds)
    return documentIds.flatMap((documentId, index) => {
      const head = heads[index]
      if (head === undefined) return []
      const { incarnation, revision, bytes, tombstone } = head
      const info = {
        documentId,
        incarnation,
        revision,
        bytes,
        ...(tombstone === undefined ? {} : { tombstone }),
      }
      return matchesQuery(info, query) ? [info] : []
    })
  }

  /** The ids of all sets, merged in order. */
  async *#ids(client: RedisClient, query: ListQuery): AsyncGenerator<string> {
    const shards = await Promise.all(
      Array.from({ length: idShards }, async (_, shard) => {
        const ids = this.#shardIds(client, this.#keys.ids(shard), query)
        return { ids, next: await ids.next() }
      }),
    )
    for (;;) {
      let lowest: (typeof shards)[number] | undefined
      for (const shard of shards) {
        if (shard.next.done === true) continue
        if (lowest?.next.done !== false || compareDocumentIds(shard.next.value, lowest.next.value) < 0)
          lowest = shard
      }
      if (lowest?.next.done !== false) return
      yield lowest.next.value
      lowest.next = await lowest.ids.next()
    }
  }

  async *#shardIds(
    client: RedisClient,
    key: string,
    { prefix = '', after }: ListQuery,
  ): AsyncGenerator<string, undefined> {
    const isBehind = after !== undefined && compareDocumentIds(after, prefix) >= 0
    let from = isBehind ? `(${after}` : prefix === '' ? '-' : `[${prefix}`
    // No UTF-8 has the byte 255 in it: everything that begins with the prefix sorts below.
    const to = prefix === '' ? '+' : Buffer.concat([Buffer.from(`(${prefix}`), Buffer.from([0xff])])
    for (;;) {
      let ids: string[]
      try {
        ids = await client.zrangebylex(key, from, to, 'LIMIT', 0, pageLength)
      } catch (cause) {
        throw storeFailed(cause)
      }
      yield* ids
      const last = ids.at(-1)
      if (last === undefined || ids.length < pageLength) return undefined
      from = `(${last}`
    }
  }
}

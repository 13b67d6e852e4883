import { isPolyphonyError, type PolyphonyError, type Random } from '@polyphony/core'
import { Cluster } from 'ioredis'
import {
  chunkBytesMax,
  encodeEntry,
  encodeMeta,
  refuseAppend,
  refuseAppendAt,
  splitChunks,
  tailLost,
  type Append,
  type AppendResult,
  type ChunkReference,
  type LogFollower,
  type LogPositions,
  type NewEntry,
} from '@polyphony/storage'
import { RedisChunks } from './redis-chunks.ts'
import {
  refused,
  runScripts,
  type RedisClient,
  type ScriptCall,
  type ScriptOutcome,
} from './redis-connection.ts'
import type { RedisIndex } from './redis-index.ts'
import type { RedisKeys } from './redis-keys.ts'
import { seenArguments } from './redis-reader.ts'
import { describedHead, number, parts, storeFailed, text } from './redis-reply.ts'
import { appendScript } from './redis-scripts.ts'

export interface RedisAppenderOptions {
  readonly clients: { readonly appends: RedisClient; readonly bulk: RedisClient }
  readonly keys: RedisKeys
  readonly index: RedisIndex
  readonly positions: LogPositions
  readonly follower: LogFollower
  readonly random: Random
  readonly waitReplicas: { readonly count: number; readonly timeoutMs: number } | undefined
  readonly renew: (documentId: string, incarnation: string) => Promise<void>
}

/** Appends larger than this do not travel with the others, who would wait behind them. */
const smallBytesMax = 256 << 10

/** Carries out batches of appends, and tells own notifications from those of others. */
export class RedisAppender {
  readonly #options: RedisAppenderOptions
  /** Marks of the batches under way: their notifications need no read, as the replies bring the entries. */
  readonly #marks = new Set<string>()
  readonly #chunks: RedisChunks
  #replicasMissing = false
  #refusal: PolyphonyError | undefined

  constructor(options: RedisAppenderOptions) {
    this.#options = options
    this.#chunks = new RedisChunks(options.clients.bulk)
  }

  /** Refuses every append from now on, or none. */
  refuse(problem: PolyphonyError | undefined): void {
    this.#refusal = problem
  }

  /** Takes in a notification: `mark incarnation revision`. */
  hear(documentId: string, message: string): void {
    const [mark = '', incarnation = '', revision = ''] = message.split(' ')
    if (this.#marks.has(mark)) return
    this.#options.follower.wake(
      documentId,
      mark === '-' ? undefined : { incarnation, revision: Number(revision) },
    )
  }

  /** One result per document, in order. */
  async append(batch: readonly Append[]): Promise<readonly AppendResult[]> {
    const results = new Map<Append, AppendResult>()
    const accepted: Append[] = []
    for (const append of batch) {
      const error = refuseAppend(append) ?? this.#refusal
      if (error === undefined) accepted.push(append)
      else results.set(append, { ok: false, error })
    }
    const small = accepted.filter((append) => sizeOf(append) <= smallBytesMax)
    const large = accepted.filter((append) => sizeOf(append) > smallBytesMax)
    const { appends, bulk } = this.#options.clients
    await Promise.all([
      this.#write(appends, small.map(withoutChunks), results),
      this.#writeLarge(bulk, large, results),
    ])
    return batch.map(
      (append) => results.get(append) ?? { ok: false, error: refused('The append has no result.') },
    )
  }

  /** Large updates are written in chunks before the append that refers to them. */
  async #writeLarge(
    client: RedisClient,
    appends: readonly Append[],
    results: Map<Append, AppendResult>,
  ): Promise<void> {
    const staged: StagedAppend[] = []
    for (const append of appends) {
      try {
        staged.push(await this.#stage(append))
      } catch (error) {
        results.set(append, failed(append.documentId)(error))
      }
    }
    await this.#write(client, staged, results)
    // What is not known to be written may be; then nothing must go. It vanishes by itself if it is not.
    for (const { append, large } of staged) {
      const result = results.get(append)
      if (result?.ok === false && result.error.code !== 'store-failed') await this.#discard(append, large)
    }
  }

  async #stage(append: Append): Promise<StagedAppend> {
    const { documentId, entries } = append
    const { keys, random } = this.#options
    const { largePrefix } = keys.document(documentId)
    const large = new Map<NewEntry, ChunkReference>()
    for (const entry of entries) {
      if (entry.update.length <= chunkBytesMax) continue
      const set = random.hex(8)
      const place = { documentId, set, key: largePrefix + set }
      large.set(entry, await this.#chunks.stage(place, splitChunks(entry.update)))
    }
    return { append, large }
  }

  async #discard({ documentId }: Append, large: StagedAppend['large']): Promise<void> {
    const { largePrefix } = this.#options.keys.document(documentId)
    await this.#chunks.discard([...large.values()].map(({ set }) => largePrefix + set))
  }

  async #write(
    client: RedisClient,
    appends: readonly StagedAppend[],
    results: Map<Append, AppendResult>,
  ): Promise<void> {
    if (appends.length === 0) return
    const mark = this.#options.random.hex(8)
    this.#marks.add(mark)
    try {
      await this.#assertReplicas(client)
      await this.#options.index.add(
        client,
        appends.map(({ append }) => append.documentId),
      )
      const outcomes = await this.#run(client, appends, mark)
      for (const [index, staged] of appends.entries()) {
        const { append } = staged
        results.set(
          append,
          await this.#settle(client, staged, mark, outcomes[index]).catch(failed(append.documentId)),
        )
      }
    } catch (cause) {
      const error = isPolyphonyError(cause) ? cause : storeFailed(cause)
      for (const { append } of appends) if (!results.has(append)) results.set(append, { ok: false, error })
    } finally {
      this.#marks.delete(mark)
    }
  }

  /** Runs the scripts and, if asked for, waits for the replicas. */
  async #run(
    client: RedisClient,
    appends: readonly StagedAppend[],
    mark: string,
  ): Promise<readonly ScriptOutcome[]> {
    const settled = await runScripts(
      client,
      appends.map((staged) => this.#call(staged, mark)),
    )
    if (this.#options.waitReplicas === undefined || (await this.#wait(client))) return settled
    const error = this.#replicasError()
    return settled.map((outcome) => ('error' in outcome ? outcome : { error }))
  }

  #call({ append, large }: StagedAppend, mark: string): ScriptCall {
    const { documentId, entries, expect, incarnation } = append
    const { keys, positions, random } = this.#options
    const { head, log, larges, largePrefix, channel } = keys.document(documentId)
    const context = Buffer.from(documentId)
    return {
      script: appendScript,
      keys: [head, log, larges],
      args: [
        incarnation ?? '',
        expect === undefined ? '' : String(expect),
        random.hex(8),
        channel,
        mark,
        ...seenArguments(positions.find(documentId)),
        largePrefix,
        ...entries.flatMap((entry) => {
          const { update, meta } = entry
          const chunks = large.get(entry)
          // The offset is known to the script only, and kept beside the record.
          const stored = { meta: encodeMeta(meta), offset: 0, update: chunks ?? update }
          const record = encodeEntry(stored, context)
          return [String(update.length), record, chunks?.set ?? '', String(chunks?.count ?? 0)]
        }),
      ],
    }
  }

  async #settle(
    client: RedisClient,
    staged: StagedAppend,
    mark: string,
    outcome: ScriptOutcome | undefined,
    isRetry = false,
  ): Promise<AppendResult> {
    const { positions, follower, renew } = this.#options
    const { append } = staged
    const { documentId, entries } = append
    if (outcome === undefined || 'error' in outcome) {
      // It may have been written all the same.
      follower.wake(documentId)
      const cause = outcome?.error
      return { ok: false, error: isPolyphonyError(cause) ? cause : storeFailed(cause, documentId) }
    }
    const reply = parts(outcome.reply)
    const status = text(reply[0])
    if (status === 'lost')
      return { ok: false, error: refused(`The chunks of the append to "${documentId}" were lost.`) }
    const incarnation = text(reply[1])
    if (status === 'ok') {
      const [first, last] = [number(reply[2]), number(reply[3])]
      positions.note(documentId, { incarnation, revision: last, mark })
      if (follower.isFollowed(documentId)) {
        const copies = entries.map(({ update, meta }, index) => ({
          revision: first + index,
          update: update.slice(),
          meta,
        }))
        follower.offer(documentId, { incarnation, mark, entries: copies })
      }
      return { ok: true, first, last, incarnation }
    }
    if (status === 'broken') {
      await renew(documentId, incarnation)
      if (append.incarnation !== undefined || isRetry)
        return {
          ok: false,
          error: tailLost(documentId, append.incarnation ?? incarnation),
        }
      const [again] = await this.#run(client, [staged], mark)
      return this.#settle(client, staged, mark, again, true)
    }
    if (append.incarnation !== undefined && append.incarnation === text(reply[4]))
      return { ok: false, error: tailLost(documentId, append.incarnation) }
    const error =
      refuseAppendAt(append, describedHead(reply)) ?? refused(`Redis refused the append to "${documentId}".`)
    return { ok: false, error }
  }

  /** While replicas are missing, nothing is appended again and again only to be unacknowledged each time. */
  async #assertReplicas(client: RedisClient): Promise<void> {
    if (this.#replicasMissing && !(await this.#wait(client))) throw this.#replicasError()
  }

  async #wait(client: RedisClient): Promise<boolean> {
    const { count, timeoutMs } = this.#options.waitReplicas ?? { count: 0, timeoutMs: 0 }
    // WAIT is about what came over the same connection; a cluster has one to each primary.
    const servers = client instanceof Cluster ? client.nodes('master') : [client]
    let isReplicated = false
    try {
      const reached = await Promise.all(servers.map((server) => server.wait(count, timeoutMs)))
      isReplicated = reached.every((replicas) => replicas >= count)
    } finally {
      this.#replicasMissing = !isReplicated
    }
    return isReplicated
  }

  #replicasError(): PolyphonyError {
    const { count, timeoutMs } = this.#options.waitReplicas ?? { count: 0, timeoutMs: 0 }
    return refused(`Fewer than ${count} replicas of Redis had the append after ${timeoutMs} ms.`)
  }
}

/** An append whose large updates are in Redis already. */
interface StagedAppend {
  readonly append: Append
  readonly large: ReadonlyMap<NewEntry, ChunkReference>
}

const noChunks: StagedAppend['large'] = new Map()

function withoutChunks(append: Append): StagedAppend {
  return { append, large: noChunks }
}

function sizeOf({ entries }: Append): number {
  return entries.reduce((sum, { update }) => sum + update.length, 0)
}

function failed(documentId: string): (cause: unknown) => AppendResult {
  return (cause) => ({ ok: false, error: isPolyphonyError(cause) ? cause : storeFailed(cause, documentId) })
}

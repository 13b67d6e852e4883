import { isPolyphonyError, type PolyphonyError } from '@polyphony/core'
import {
  decodeCheckpoint,
  decodeEntry,
  overtakenRead,
  planRead,
  readAgain,
  type Checkpoint,
  type ChunkReference,
  type Head,
  type LogEntry,
  type LogPosition,
  type LogPositions,
  type LogTail,
  type ReadRange,
  type StoredEntry,
  type TailRequest,
} from '@polyphony/storage'
import { RedisChunks } from './redis-chunks.ts'
import { runScripts, type RedisClient, type ScriptCall } from './redis-connection.ts'
import type { RedisKeys } from './redis-keys.ts'
import { bytes, number, parts, storeFailed, text } from './redis-reply.ts'
import { tailScript } from './redis-scripts.ts'

/** What the head's hash says. */
export interface StoredHead extends Head {
  /** The oldest entry that is retained. */
  readonly first: number
  readonly checkpoint?: { readonly revision: number; readonly set: string } | undefined
}

const pageBytesMax = 1 << 20

/** Reads documents: heads, logs and checkpoints. */
export class RedisReader {
  readonly #client: RedisClient
  readonly #keys: RedisKeys
  readonly #positions: LogPositions
  readonly #chunks: RedisChunks

  constructor(client: RedisClient, keys: RedisKeys, positions: LogPositions) {
    this.#client = client
    this.#keys = keys
    this.#positions = positions
    this.#chunks = new RedisChunks(client)
  }

  async head(documentId: string): Promise<StoredHead | undefined> {
    const [head] = await this.heads([documentId])
    return head
  }

  /** Heads of several documents, each read by itself. */
  async heads(documentIds: readonly string[]): Promise<readonly (StoredHead | undefined)[]> {
    try {
      return await Promise.all(
        documentIds.map(async (id) =>
          decodeHead(await this.#client.hmget(this.#keys.document(id).head, ...headFields)),
        ),
      )
    } catch (cause) {
      throw storeFailed(cause, documentIds.length === 1 ? documentIds[0] : undefined)
    }
  }

  /** What follows in several logs. */
  async tails(requests: readonly TailRequest[]): Promise<readonly (LogTail | PolyphonyError)[]> {
    const outcomes = await runScripts(
      this.#client,
      requests.map((request) => this.#tailCall(request)),
    )
    const tails: (LogTail | PolyphonyError)[] = []
    for (const [index, outcome] of outcomes.entries()) {
      const documentId = requests[index]?.documentId ?? ''
      // Not a result for the one document: nothing could be read, and all of it is tried again.
      if ('error' in outcome) throw storeFailed(outcome.error, documentId)
      try {
        tails.push(await this.#decodeTail(documentId, parts(outcome.reply)))
      } catch (error) {
        // Chunks that are gone are no damage: what is there now is read by the next try.
        if (!isPolyphonyError(error) || error.code !== 'store-corrupt') throw error
        tails.push(error)
      }
    }
    return tails
  }

  /** As `DocumentStore.read`. What is overtaken before it has given anything begins again. */
  read(documentId: string, range: ReadRange): AsyncGenerator<Checkpoint | LogEntry> {
    return readAgain(() => this.#readOnce(documentId, range))
  }

  async *#readOnce(documentId: string, range: ReadRange): AsyncGenerator<Checkpoint | LogEntry> {
    const head = await this.head(documentId)
    if (head === undefined || head.tombstone !== undefined) return
    const { incarnation, first, revision, checkpoint } = head
    const plan = planRead(documentId, range, { first, head: revision, checkpoint: checkpoint?.revision })
    if (plan.checkpoint && checkpoint !== undefined)
      yield await this.#readCheckpoint(documentId, incarnation, checkpoint.set)
    for (let after = plan.from - 1; after < plan.to;) {
      const [tail] = await this.tails([{ documentId, after, upTo: plan.to }])
      const { entries, mark } = this.#entriesOf(documentId, incarnation, after, tail)
      after = entries.at(-1)?.revision ?? after
      this.#positions.note(documentId, { incarnation, revision: after, mark })
      yield* entries
    }
  }

  /** The entry at a revision, a large update not fetched; `undefined` when it is not retained. */
  async entryAt(documentId: string, revision: number): Promise<StoredEntry | undefined> {
    const id = `${revision}-0`
    let found: [Buffer, Buffer[]][]
    try {
      found = await this.#client.xrangeBuffer(this.#keys.document(documentId).log, id, id)
    } catch (cause) {
      throw storeFailed(cause, documentId)
    }
    const fields = found[0]?.[1]
    if (fields === undefined) return undefined
    const entry = decodeEntry(bytes(fields[5]), Buffer.from(documentId), { documentId, revision })
    // In the record the offset is not known.
    return { ...entry, offset: number(fields[3]) }
  }

  async #readCheckpoint(documentId: string, incarnation: string, set: string): Promise<Checkpoint> {
    const key = this.#keys.document(documentId).statePrefix + set
    const context = Buffer.from(documentId)
    const [record] = await this.#chunks.fields({ documentId, key }, ['record'])
    if (record === null || record === undefined) throw overtakenRead(documentId)
    const { revision, stateVector, chunks } = decodeCheckpoint(record, context, documentId)
    const state = this.#chunks.read({ documentId, set, key }, chunks.count, 'checkpoint')
    return { revision, incarnation, stateVector: stateVector.slice(), state }
  }

  #tailCall({ documentId, after, upTo, seen }: TailRequest): ScriptCall {
    const { head, log } = this.#keys.document(documentId)
    return {
      script: tailScript,
      keys: [head, log],
      args: [
        String(after),
        upTo === undefined ? '' : String(upTo),
        String(pageBytesMax),
        ...seenArguments(this.#withMark(documentId, seen)),
      ],
    }
  }

  /** The mark of a place that the reader does not know it of, if somebody else here does. */
  #withMark(documentId: string, seen: LogPosition | undefined): LogPosition | undefined {
    if (seen === undefined || seen.mark !== undefined) return seen
    const known = this.#positions.find(documentId)
    return known?.incarnation === seen.incarnation && known.revision === seen.revision ? known : seen
  }

  async #decodeTail(documentId: string, reply: readonly unknown[]): Promise<LogTail> {
    const state = text(reply[0])
    if (state === 'absent' || state === 'deleted') return { state }
    const incarnation = text(reply[1])
    if (state === 'broken') return { state, incarnation }
    let mark: string | undefined
    const continues = text(reply[4])
    const entries: LogEntry[] = []
    for (const item of reply.slice(5)) {
      const [id, entryMark, record] = parts(item)
      mark = text(entryMark)
      const revision = Number.parseInt(text(id), 10)
      const { update, meta } = decodeEntry(bytes(record), Buffer.from(documentId), { documentId, revision })
      const whole =
        update instanceof Uint8Array ? update.slice() : await this.#readLarge(documentId, revision, update)
      entries.push({ revision, update: whole, meta })
    }
    return {
      state: 'open',
      incarnation,
      revision: number(reply[2]),
      first: number(reply[3]),
      continues: continues === '' ? undefined : continues,
      entries,
      mark,
    }
  }

  #readLarge(documentId: string, revision: number, reference: ChunkReference): Promise<Uint8Array> {
    const key = this.#keys.document(documentId).largePrefix + reference.set
    return this.#chunks.readWhole({ documentId, set: reference.set, key }, reference, `entry ${revision}`)
  }

  #entriesOf(
    documentId: string,
    incarnation: string,
    after: number,
    tail: LogTail | PolyphonyError | undefined,
  ): { readonly entries: readonly LogEntry[]; readonly mark?: string | undefined } {
    if (isPolyphonyError(tail)) throw tail
    if (tail?.state === 'open' && tail.incarnation === incarnation && tail.entries[0]?.revision === after + 1)
      return tail
    throw overtakenRead(documentId)
  }
}

/** The last three arguments of the scripts that check what the caller has seen. */
export function seenArguments(seen: LogPosition | undefined): readonly string[] {
  return seen === undefined ? ['', '0', ''] : [seen.incarnation, String(seen.revision), seen.mark ?? '']
}

const headFields = [
  'incarnation',
  'revision',
  'end',
  'first',
  'deletedAtMs',
  'checkpoint',
  'checkpointSet',
  'checkpointBytes',
  'checkpointEnd',
] as const

function decodeHead(fields: readonly (string | null)[]): StoredHead | undefined {
  const [incarnation, revision, end, first, deletedAtMs, checkpoint, set, checkpointBytes, checkpointEnd] =
    fields
  if (incarnation === null || incarnation === undefined) return undefined
  const head = { incarnation, revision: Number(revision), first: Number(first ?? 1) }
  if (typeof deletedAtMs === 'string')
    return { ...head, bytes: 0, tombstone: { deletedAtMs: Number(deletedAtMs) } }
  const above = Number(end) - Number(checkpointEnd ?? 0)
  return {
    ...head,
    bytes: Number(checkpointBytes ?? 0) + above,
    checkpoint: typeof set === 'string' ? { revision: Number(checkpoint), set } : undefined,
  }
}

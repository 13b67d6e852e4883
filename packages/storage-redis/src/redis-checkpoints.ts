import { PolyphonyError, type Clock, type Logger, type Random } from '@polyphony/core'
import {
  encodeCheckpoint,
  rechunk,
  refuseCheckpointAt,
  retentionCut,
  updateBytes,
  type Checkpoint,
  type RetentionPolicy,
} from '@polyphony/storage'
import { RedisChunks, replacedChunksMs } from './redis-chunks.ts'
import { runScript, type RedisClient } from './redis-connection.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisReader } from './redis-reader.ts'
import { describedHead, parts, storeFailed, text } from './redis-reply.ts'
import { checkpointScript, trimScript } from './redis-scripts.ts'

export interface RedisCheckpointsOptions {
  readonly client: RedisClient
  readonly keys: RedisKeys
  readonly reader: RedisReader
  readonly retention: RetentionPolicy
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** Writes checkpoints, and removes what they cover. */
export class RedisCheckpoints {
  readonly #options: RedisCheckpointsOptions
  readonly #chunks: RedisChunks

  constructor(options: RedisCheckpointsOptions) {
    this.#options = options
    this.#chunks = new RedisChunks(options.client)
  }

  /** As `DocumentStore.checkpoint`. Gives the task of removing covered entries, which never rejects; or nothing to do. */
  async write(documentId: string, checkpoint: Checkpoint): Promise<(() => Promise<void>) | undefined> {
    const { reader, keys, random } = this.#options
    const head = await reader.head(documentId)
    const problem = refuseCheckpointAt(documentId, checkpoint, head)
    if (problem !== undefined) throw problem
    const { revision } = checkpoint
    // An equal one says the same, an older one less.
    if (head === undefined || revision <= (head.checkpoint?.revision ?? 0)) return undefined
    const covered = await reader.entryAt(documentId, revision)
    if (covered === undefined) {
      throw new PolyphonyError(
        'store-failed',
        `"${documentId}" changed under its checkpoint; make it again.`,
        { documentId },
      )
    }
    const endOffset = covered.offset + updateBytes(covered)
    const set = random.hex(8)
    const key = keys.document(documentId).statePrefix + set
    const chunks = await this.#chunks.stage({ documentId, set, key }, rechunk(checkpoint.state))
    const record = encodeCheckpoint(
      { revision, endOffset, chunks, stateVector: checkpoint.stateVector },
      Buffer.from(documentId),
    )
    await this.#chunks.put({ documentId, key }, 'record', record)
    const incarnation = checkpoint.incarnation ?? head.incarnation
    const kept = await this.#commit(documentId, { revision, incarnation, chunks, endOffset })
    return kept ? () => this.#trim(documentId, incarnation, { revision, endOffset }) : undefined
  }

  /** Makes the staged chunks the checkpoint; false if there is a newer one by now. */
  async #commit(
    documentId: string,
    checkpoint: {
      readonly revision: number
      readonly incarnation: string
      readonly chunks: { readonly set: string; readonly count: number; readonly bytes: number }
      readonly endOffset: number
    },
  ): Promise<boolean> {
    const { revision, incarnation, chunks, endOffset } = checkpoint
    const { head, statePrefix } = this.#options.keys.document(documentId)
    const numbers = [chunks.count, chunks.bytes, endOffset].map(String)
    const reply = await this.#run(documentId, {
      script: checkpointScript,
      keys: [head, statePrefix + chunks.set],
      args: [String(revision), incarnation, chunks.set, ...numbers, statePrefix, String(replacedChunksMs)],
    })
    const status = text(reply[0])
    if (status === 'refused') {
      const problem = refuseCheckpointAt(documentId, { revision, incarnation }, describedHead(reply))
      if (problem !== undefined) throw problem
    }
    if (status === 'ok') return true
    if (status === 'older') return false
    throw new PolyphonyError(
      'store-failed',
      `The checkpoint of "${documentId}" was lost while it was written.`,
      { documentId },
    )
  }

  /** Removes what the checkpoint covers and the retention policy does not keep. */
  async #trim(
    documentId: string,
    incarnation: string,
    covered: { readonly revision: number; readonly endOffset: number },
  ): Promise<void> {
    const { reader, keys, retention, clock, logger } = this.#options
    try {
      const head = await reader.head(documentId)
      if (head === undefined || head.incarnation !== incarnation) return
      const range = { first: head.first, last: covered.revision, endOffset: covered.endOffset }
      const cut = await retentionCut(retention, range, clock.now(), async (revision) => {
        const found = await reader.entryAt(documentId, revision)
        if (found === undefined)
          throw new PolyphonyError('store-failed', `Revision ${revision} is gone.`, { documentId })
        return { committedAtMs: found.meta.committedAtMs, offset: found.offset }
      })
      if (cut < head.first) return
      const { head: headKey, log, larges, largePrefix } = keys.document(documentId)
      await this.#run(documentId, {
        script: trimScript,
        keys: [headKey, log, larges],
        args: [incarnation, String(cut), largePrefix, String(replacedChunksMs)],
      })
    } catch (error) {
      // The next checkpoint does it.
      logger.warn({ documentId, error: String(error) }, 'covered entries could not be removed')
    }
  }

  async #run(documentId: string, call: Parameters<typeof runScript>[1]): Promise<readonly unknown[]> {
    try {
      return parts(await runScript(this.#options.client, call))
    } catch (cause) {
      throw storeFailed(cause, documentId)
    }
  }
}

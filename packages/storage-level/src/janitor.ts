import { isPolyphonyError, toPolyphonyError, type Logger } from '@polyphony/core'
import { chunkRange, isLargeRange, bytesHex, trashRange, trashKey, type Key, type KeyRange } from './keys.ts'
import type { GroupWriter } from './group-writer.ts'
import type { LevelDatabase } from './level-database.ts'
import { decodeTrash } from './trash.ts'

export interface JanitorOptions {
  readonly database: LevelDatabase
  readonly writer: GroupWriter
  readonly logger: Logger
}

/** Keys removed in one write: some 50 KB. */
const keysMax = 1000

/**
 * Removes what is in the trash, one job after the other, in small writes that take turns with appends. A job that fails
 * is logged and stays in the trash: the next opening of the store finds it there.
 */
export class Janitor {
  readonly #options: JanitorOptions
  readonly #jobs: (() => Promise<void>)[] = []
  #running = false
  #working: Promise<void> | undefined
  #closed = false

  constructor(options: JanitorOptions) {
    this.#options = options
  }

  /** Runs a job after those before it. Its failure is logged. */
  schedule(job: () => Promise<void>): void {
    if (this.#closed) return
    this.#jobs.push(job)
    if (this.#running) return
    this.#running = true
    this.#working = this.#work()
  }

  /** Removes a range if it is in the trash, and takes it out. */
  sweep(range: KeyRange): void {
    this.schedule(() => this.#sweep(trashKey(range)))
  }

  /** Takes up what an earlier process left in the trash. */
  async recover(): Promise<void> {
    const { database } = this.#options
    for await (const [key] of database.pairs(trashRange)) {
      this.schedule(() => this.#sweep(key))
    }
  }

  /** Finishes the write at hand; jobs that wait are left for the next time. */
  async close(): Promise<void> {
    this.#closed = true
    this.#jobs.length = 0
    await this.#working
  }

  async #work(): Promise<void> {
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      try {
        await job()
      } catch (error) {
        if (this.#closed && isPolyphonyError(error) && error.code === 'store-closed') continue
        const { code, message, details } = toPolyphonyError(error)
        this.#options.logger.warn(
          { code, error: message, documentId: details.documentId },
          'clearing up failed; it is taken up again when the store is opened',
        )
      }
    }
    this.#running = false
  }

  async #sweep(key: Key): Promise<void> {
    const { database, writer } = this.#options
    const record = await database.get(key)
    if (record === undefined) return
    const range = decodeTrash(record, key)
    if (isLargeRange(range)) await this.#removeLarge(range)
    else await this.#removeKeys(range)
    if (!this.#closed) await writer.write([{ type: 'del', key }], { durable: false })
  }

  async #removeKeys(range: KeyRange): Promise<void> {
    const { database, writer } = this.#options
    while (!this.#closed) {
      const keys = await database.keys(range, keysMax)
      if (keys.length === 0) return
      await writer.write(
        keys.map((key) => ({ type: 'del', key })),
        { durable: false },
      )
    }
  }

  /** Large entries: first the chunks, then the key that names them, so that a crash in between loses track of nothing. */
  async #removeLarge(range: KeyRange): Promise<void> {
    const { database, writer } = this.#options
    while (!this.#closed) {
      const [key] = await database.keys(range, 1)
      if (key === undefined) return
      const set = await database.get(key)
      if (set !== undefined) await this.#removeKeys(chunkRange(bytesHex(set)))
      if (!this.#closed) await writer.write([{ type: 'del', key }], { durable: false })
    }
  }
}

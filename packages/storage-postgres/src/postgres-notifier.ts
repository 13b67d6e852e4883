import type { PostgresDatabase } from './postgres-database.ts'
import type { PostgresConnectionOptions } from './postgres-options.ts'

/** PostgreSQL takes payloads of less than 8,000 bytes. */
export const payloadBytesMax = 7_900
const queueMax = 20_000

/**
 * Sends notifications, lossily: what comes while one statement is under way goes out together with the next. They are not
 * part of the transactions that they tell of, because a transaction with a NOTIFY makes every other one wait at its
 * commit.
 */
export class PostgresNotifier {
  readonly #database: PostgresDatabase
  readonly #options: PostgresConnectionOptions
  #queue: { readonly channel: string; readonly payload: string }[] = []
  #sending: Promise<void> | undefined

  constructor(database: PostgresDatabase, options: PostgresConnectionOptions) {
    this.#database = database
    this.#options = options
  }

  /** Payloads of one call arrive in order, all or none of them. */
  notify(channel: string, payloads: readonly string[]): void {
    if (this.#queue.length + payloads.length > queueMax) return
    for (const payload of payloads) this.#queue.push({ channel, payload })
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined
    })
  }

  /** Resolves once everything is sent or lost. */
  async settled(): Promise<void> {
    await this.#sending
  }

  async #send(): Promise<void> {
    // What is notified in the same turn goes out together.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue
      this.#queue = []
      try {
        await this.#database.query({ name: 'notify', text: notifyText }, [
          batch.map(({ channel }) => channel),
          batch.map(({ payload }) => payload),
        ])
      } catch (error) {
        this.#options.logger?.debug({ error: String(error), lost: batch.length }, 'notifications were lost')
      }
    }
  }
}

const notifyText =
  'SELECT count(pg_notify(channel, payload)) FROM unnest($1::text[], $2::text[]) AS t(channel, payload)'

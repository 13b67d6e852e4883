import type { RoomState } from './room-options.ts'

const keysMax = 10_000

/** Which revision answered for which idempotency key; the keys stand in the log and outlive a restart with it. */
export class IdempotencyKeys {
  readonly #revisions = new Map<string, number | Promise<number>>()

  /** Starts with the keys of what is stored. */
  constructor({ keys, tail }: Pick<RoomState, 'keys' | 'tail'>) {
    for (const { key, revision } of keys) this.remember(key, revision)
    for (const { revision, meta } of tail) this.remember(meta.idempotencyKey, revision)
  }

  /** The revision of the write with this key, also when that is still under way. */
  find(key: string | undefined): Promise<number> | undefined {
    const revision = key === undefined ? undefined : this.#revisions.get(key)
    return revision === undefined ? undefined : Promise.resolve(revision)
  }

  /** Where the write with this key stands in the log, as far as that is known. */
  revisionOf(key: string | undefined): number | undefined {
    const revision = key === undefined ? undefined : this.#revisions.get(key)
    return typeof revision === 'number' ? revision : undefined
  }

  remember(key: string | undefined, revision: number): void {
    if (key !== undefined) this.#set(key, revision)
  }

  /** Lets later writes with this key wait for the one under way; when that fails, the key is free again. */
  async await(key: string, outcome: Promise<number>): Promise<void> {
    this.#set(key, outcome)
    try {
      this.#set(key, await outcome)
    } catch {
      // The write under way reports its failure itself.
      if (this.#revisions.get(key) === outcome) this.#revisions.delete(key)
    }
  }

  #set(key: string, revision: number | Promise<number>): void {
    this.#revisions.delete(key)
    this.#revisions.set(key, revision)
    const [oldest] = this.#revisions.keys()
    if (this.#revisions.size > keysMax && oldest !== undefined) this.#revisions.delete(oldest)
  }
}

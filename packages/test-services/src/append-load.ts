import { setTimeout as sleep } from 'node:timers/promises'

/** What the load needs of a store; a `DocumentStore` has it. */
export interface LoadedStore {
  append(
    batch: readonly {
      readonly documentId: string
      readonly entries: readonly {
        readonly update: Uint8Array
        readonly meta: { readonly author: string; readonly committedAtMs: number }
      }[]
    }[],
  ): Promise<
    readonly (
      | { readonly ok: true; readonly first: number; readonly incarnation: string }
      | { readonly ok: false; readonly error: Error }
    )[]
  >
}

/** An entry that a store said is durable. */
export interface AcknowledgedEntry {
  readonly documentId: string
  readonly incarnation: string
  readonly revision: number
  readonly text: string
}

/** Appends without end to several documents, as servers do, and remembers what was acknowledged and what failed. */
export class AppendLoad {
  readonly acknowledged: AcknowledgedEntry[] = []
  readonly failures: Error[] = []
  readonly #store: LoadedStore
  readonly #documentIds: readonly string[]
  readonly #name: string
  readonly #running: Promise<void>
  #stopped = false

  constructor(store: LoadedStore, documentIds: readonly string[], name = 'load') {
    this.#store = store
    this.#documentIds = documentIds
    this.#name = name
    this.#running = this.#run()
  }

  /** Resolves once this many more entries are acknowledged. */
  async progress(entries: number): Promise<void> {
    const goal = this.acknowledged.length + entries
    while (this.acknowledged.length < goal && !this.#stopped) await sleep(2)
  }

  /** Resolves once something has failed that had not failed before the call. */
  async failure(): Promise<void> {
    const before = this.failures.length
    while (this.failures.length === before && !this.#stopped) await sleep(2)
  }

  /** Stops and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    for (let round = 0; !this.#stopped; round++) {
      const texts = this.#documentIds.map((documentId) => `${this.#name} ${round} ${documentId}`)
      const batch = this.#documentIds.map((documentId, index) => ({
        documentId,
        entries: [
          { update: Buffer.from(texts[index] ?? ''), meta: { author: 'load', committedAtMs: Date.now() } },
        ],
      }))
      try {
        const results = await this.#store.append(batch)
        for (const [index, result] of results.entries()) {
          const documentId = this.#documentIds[index] ?? ''
          if (result.ok)
            this.acknowledged.push({
              documentId,
              incarnation: result.incarnation,
              revision: result.first,
              text: texts[index] ?? '',
            })
          else this.failures.push(result.error)
        }
        if (results.some(({ ok }) => !ok)) await sleep(10)
      } catch (error) {
        this.failures.push(error instanceof Error ? error : new Error(String(error)))
        await sleep(10)
      }
    }
  }
}

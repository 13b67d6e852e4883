import type { PolyphonyError } from '@polyphony/core'
import type { DocumentStore, LogEntry } from '@polyphony/storage'
import { eventually, expectEqual, expectTrue, readTexts } from '@polyphony/storage/testing'
import type { AcknowledgedEntry } from './append-load.ts'

/** What a subscriber of a shared store hears of one document, from its first entry. */
export class FollowedLog {
  readonly entries: LogEntry[] = []
  ended: PolyphonyError | undefined
  readonly #store: DocumentStore
  readonly #documentId: string

  private constructor(store: DocumentStore, documentId: string) {
    this.#store = store
    this.#documentId = documentId
  }

  static async open(store: DocumentStore, documentId: string): Promise<FollowedLog> {
    const log = new FollowedLog(store, documentId)
    await store.subscribe?.(documentId, 0, (entries) => log.entries.push(...entries), {
      ended: (reason) => {
        log.ended = reason
      },
    })
    return log
  }

  /** Waits for the newest entry; throws unless each came once, in order, and the subscription goes on. */
  async expectWhole(): Promise<void> {
    const revision = (await this.#store.head(this.#documentId))?.revision ?? 0
    await eventually(
      () => (this.entries.at(-1)?.revision ?? 0) >= revision,
      `"${this.#documentId}" is followed to ${revision}`,
    )
    const revisions = Array.from({ length: revision }, (_, at) => at + 1)
    expectEqual(
      this.entries.map((entry) => entry.revision),
      revisions,
      `what is heard of "${this.#documentId}"`,
    )
    expectTrue(this.ended === undefined, `the subscription to "${this.#documentId}" goes on`)
  }
}

/** Throws unless every acknowledged entry is at its place in the incarnation that the document has now. */
export async function expectAcknowledged(
  store: DocumentStore,
  acknowledged: readonly AcknowledgedEntry[],
): Promise<void> {
  expectTrue(acknowledged.length > 0, 'something was acknowledged')
  for (const documentId of new Set(acknowledged.map((entry) => entry.documentId))) {
    const texts = await readTexts(store, documentId)
    const incarnation = (await store.head(documentId))?.incarnation
    for (const entry of acknowledged)
      if (entry.documentId === documentId)
        expectEqual(
          [incarnation, texts[entry.revision - 1]],
          [entry.incarnation, entry.text],
          `revision ${entry.revision} of "${documentId}"`,
        )
  }
}

import type { Checkpoint, LogEntry, NewEntry, Revision } from '../document-store.ts'
import { corrupt } from '../record.ts'
import type { DataKeys } from './data-keys.ts'
import { LifeOrder } from './life-order.ts'
import { openCheckpoint } from './sealed-checkpoint.ts'
import { parseEntry, parseGroup } from './sealed-entries.ts'
import { openValue } from './sealed-value.ts'
import { kindOf, valueKind } from './value-kind.ts'

/** Opens what follows in one document's log, in its order. Throws `store-corrupt` for what does not belong there. */
export class SealedLog {
  readonly #keys: DataKeys
  readonly #documentId: string
  readonly #lives: LifeOrder
  /** The next entry to be given. */
  #next: Revision
  /** Entries from `#next` on that were seen, but are in the group that follows. */
  #waiting = 0
  #begun = false

  /**
   * @param after what the reader has already
   * @param newest the incarnation of the head
   */
  constructor(keys: DataKeys, documentId: string, { after = 0, newest }: SealedLogStart) {
    this.#keys = keys
    this.#documentId = documentId
    this.#lives = new LifeOrder(documentId, newest)
    this.#next = after + 1
  }

  /** The newest entry that was seen, if it waits for the group that it is in. */
  get waitingAt(): Revision | undefined {
    return this.#waiting === 0 ? undefined : this.#next + this.#waiting - 1
  }

  async openCheckpoint(sealed: Checkpoint): Promise<Checkpoint> {
    const { checkpoint, writtenIn } = await openCheckpoint(this.#keys, this.#documentId, sealed)
    this.#lives.see(writtenIn, 'checkpoint')
    this.#next = checkpoint.revision + 1
    return checkpoint
  }

  /** The entries that this one makes readable: itself, none, or a whole group. */
  async open({ revision, update }: LogEntry): Promise<readonly LogEntry[]> {
    const expected = this.#next + this.#waiting
    if (revision !== expected) throw this.#corrupt(expected, 'it is missing')
    const found = kindOf(update)
    if (found === valueKind.sealedMember) {
      this.#waiting++
      return []
    }
    const kind = found === valueKind.sealedGroup ? found : valueKind.sealedEntry
    const place = { kind, documentId: this.#documentId, revision }
    const { plaintext, incarnation } = await openValue(this.#keys, update, place, `entry ${revision}`)
    this.#lives.see(incarnation, `entry ${revision}`)
    const entries = kind === valueKind.sealedGroup ? parseGroup(plaintext) : [parseEntry(plaintext)]
    return this.#take(entries, revision - entries.length + 1)
  }

  /** The log has no more entries. */
  end(): void {
    if (this.#waiting > 0) throw this.#corrupt(this.#next, 'the entry that holds it is missing')
  }

  #take(entries: readonly NewEntry[], first: Revision): readonly LogEntry[] {
    // A read may begin in the middle of a group; afterwards each begins where the one before has ended.
    if (first > this.#next || (this.#begun && first < this.#next))
      throw this.#corrupt(this.#next, 'it is not in the group that it should be in')
    const taken = entries
      .map(({ update, meta }, at): LogEntry => ({ revision: first + at, update, meta }))
      .slice(this.#next - first)
    this.#begun = true
    this.#next = first + entries.length
    this.#waiting = 0
    return taken
  }

  #corrupt(revision: Revision, problem: string) {
    return corrupt({ documentId: this.#documentId, what: `entry ${revision}` }, problem)
  }
}

export interface SealedLogStart {
  readonly after?: Revision | undefined
  readonly newest: string | undefined
}

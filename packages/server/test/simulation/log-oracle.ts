import { IdSet } from '@polyphony/core'
import type { NewEntry } from '@polyphony/storage'
import { array, map, text, toJson, type JsonValue } from '@polyphony/translator'
import * as Y from 'yjs'

export interface OracleEntry {
  readonly revision: number
  readonly update: Uint8Array
  readonly author: string
  readonly idempotencyKey: string | undefined
}

/** How the simulated documents appear as JSON. */
export const mounts = { '': map('state'), '/list': array('list'), '/text': text('text') }

/** One life of a document as the store has it: the slow and obvious truth that everything else is compared with. */
export class LogOracle {
  readonly entries: OracleEntry[] = []
  readonly doc = new Y.Doc({ gc: false })
  #deletes = new IdSet()
  readonly #jsonAt = new Map<number, JsonValue>()

  get revision(): number {
    return this.entries.length
  }

  append(first: number, entries: readonly NewEntry[]): void {
    if (first !== this.revision + 1) throw new Error(`The store wrote ${first} after ${this.revision}`)
    for (const { update, meta } of entries) {
      this.entries.push({
        revision: this.revision + 1,
        update: update.slice(),
        author: meta.author,
        idempotencyKey: meta.idempotencyKey,
      })
      Y.applyUpdate(this.doc, update)
      if (this.doc.store.pendingStructs !== null || this.doc.store.pendingDs !== null)
        throw new Error(`Entry ${this.revision} does not integrate into the log before it`)
    }
  }

  /** What of an update is not in the log; `undefined` when everything is. */
  lacks(update: Uint8Array): string | undefined {
    const { structs, ds } = Y.decodeUpdate(update)
    for (const struct of structs) {
      const end = struct.id.clock + struct.length
      if (end > Y.getState(this.doc.store, struct.id.client))
        return `clocks up to ${end} of client ${struct.id.client}`
    }
    const missing = this.#missingDelete(ds)
    if (missing === undefined) return undefined
    this.#deletes = toIdSet(Y.createDeleteSetFromStructStore(this.doc.store))
    return this.#missingDelete(ds)
  }

  #missingDelete(deletes: DeleteSet): string | undefined {
    for (const { client, clock, length } of toIdSet(deletes).entries())
      if (!this.#deletes.covers(client, clock, length)) return `a deletion of ${client}:${clock}+${length}`
    return undefined
  }

  /** The state at a revision, by replaying the log. */
  jsonAt(revision: number): JsonValue {
    const known = this.#jsonAt.get(revision)
    if (known !== undefined) return known
    const doc = new Y.Doc()
    doc.transact(() => {
      for (const { update } of this.entries.slice(0, revision)) Y.applyUpdate(doc, update)
    })
    const json = toJson(doc, { mounts })
    doc.destroy()
    this.#jsonAt.set(revision, json)
    return json
  }
}

type DeleteSet = ReturnType<typeof Y.createDeleteSetFromStructStore>

function toIdSet(deletes: DeleteSet): IdSet {
  const ids = new IdSet()
  for (const [client, ranges] of deletes.clients)
    for (const { clock, len } of ranges) ids.add(client, clock, len)
  return ids
}

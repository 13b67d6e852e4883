import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

interface Transaction {
  readonly parents: readonly number[]
  readonly agent: number
  readonly patches: readonly (readonly [position: number, deleteCount: number, inserted: string])[]
}

/** One transaction of a trace, with what its author saw. */
export interface Typing {
  readonly agent: number
  /** How many transactions of each agent the author had seen, the author's own included (they always are). */
  readonly seen: readonly number[]
  readonly patches: Transaction['patches']
}

export interface Trace {
  readonly endContent: string
  readonly typing: readonly Typing[]
}

/** Two people typing at once; an author's version is the merge of the `parents` of the transaction. */
export function readTrace(): Trace {
  const url = new URL('../fixtures/friendsforever.json.gz', import.meta.url)
  const { endContent, numAgents, txns } = JSON.parse(gunzipSync(readFileSync(url)).toString()) as {
    endContent: string
    numAgents: number
    txns: Transaction[]
  }
  // Every agent's own transactions follow each other, so what somebody has seen is one count per agent.
  const after: number[][] = []
  const counts = Array.from({ length: numAgents }, () => 0)
  const typing = txns.map(({ parents, agent, patches }) => {
    const seen = counts.map((_, other) =>
      Math.max(0, ...parents.map((parent) => after[parent]?.[other] ?? 0)),
    )
    if (seen[agent] !== counts[agent]) throw new Error('an author has not seen an own transaction')
    counts[agent] = (counts[agent] ?? 0) + 1
    after.push(seen.map((count, other) => (other === agent ? count + 1 : count)))
    return { agent, seen, patches }
  })
  return { endContent, typing }
}

interface Unit {
  readonly text: string
  readonly agent: number
  readonly number: number
  readonly removed: { readonly agent: number; readonly number: number }[]
}

/**
 * The same on a plain list: an insert goes immediately before the next unit that its author had seen. Independent of
 * the engine and of Yjs; that it ends in `endContent` shows that the rule itself is right for real typing.
 */
export class TraceModel {
  readonly #units: Unit[] = []
  readonly #counts = new Map<number, number>()

  get content(): string {
    return this.#units
      .filter((unit) => unit.removed.length === 0)
      .map((unit) => unit.text)
      .join('')
  }

  /** Returns the text as its author sees it afterwards. */
  apply({ agent, seen, patches }: Typing): string {
    const number = (this.#counts.get(agent) ?? 0) + 1
    this.#counts.set(agent, number)
    const saw = (edit: { readonly agent: number; readonly number: number }): boolean =>
      edit.agent === agent || edit.number <= (seen[edit.agent] ?? 0)
    const isVisible = (unit: Unit): boolean => saw(unit) && !unit.removed.some(saw)
    for (const [position, deleteCount, inserted] of patches) {
      let at = 0
      for (let left = position; left > 0; at++) if (isVisible(this.#unit(at))) left -= 1
      for (let left = deleteCount, i = at; left > 0; i++) {
        if (!isVisible(this.#unit(i))) continue
        this.#unit(i).removed.push({ agent, number })
        left -= 1
      }
      while (at < this.#units.length && !saw(this.#unit(at))) at += 1
      this.#units.splice(at, 0, ...Array.from(inserted, (text) => ({ text, agent, number, removed: [] })))
    }
    let text = ''
    for (const unit of this.#units) if (isVisible(unit)) text += unit.text
    return text
  }

  #unit(index: number): Unit {
    const unit = this.#units[index]
    if (unit === undefined) throw new Error('the trace points outside of the text')
    return unit
  }
}

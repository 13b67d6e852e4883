import * as Y from 'yjs'
import { editRandomly, type Flavour } from './generate.ts'
import type { Rng } from './rng.ts'

/**
 * Some replicas of one document: people who edit, go offline, merge, undo and redo. The first one is the document that
 * is looked at; its view must never notice how a change came about.
 */
export class World {
  readonly #rng: Rng
  readonly #flavour: Flavour
  readonly #replicas: { readonly doc: Y.Doc; readonly undo: Y.UndoManager }[] = []

  constructor(rng: Rng, flavour: Flavour, main: Y.Doc, others = 2) {
    this.#rng = rng
    this.#flavour = flavour
    for (let i = 0; i <= others; i++) {
      const doc = i === 0 ? main : new Y.Doc({ gc: rng.chance(0.5) })
      // Yjs draws client ids at random; the seed decides here, because they decide who wins.
      doc.clientID = 1 + rng.int(1_000_000) * 8 + i
      const roots = [doc.getMap('state'), doc.getText('text'), doc.getXmlFragment('prosemirror')]
      this.#replicas.push({ doc, undo: new Y.UndoManager(roots, { captureTimeout: 0, doc }) })
    }
  }

  /** One random thing that happens to one replica; the main one is as likely as all others together. */
  step(): void {
    const rng = this.#rng
    const { doc, undo } = this.#replicas[rng.chance(0.5) ? 0 : rng.int(this.#replicas.length)]!
    const dice = rng.next()
    if (dice < 0.06) undo.undo()
    else if (dice < 0.09) undo.redo()
    else if (dice < 0.25) this.merge(doc, rng.pick(this.#replicas).doc)
    else if (dice < 0.6) editRandomly(rng, doc, this.#flavour)
    else
      doc.transact(() => {
        for (let i = 1 + rng.int(4); i > 0; i--) editRandomly(rng, doc, this.#flavour)
      })
  }

  /** Brings `from` into `to`, in one transaction. */
  merge(to: Y.Doc, from: Y.Doc): void {
    if (to !== from) Y.applyUpdate(to, Y.encodeStateAsUpdate(from, Y.encodeStateVector(to)))
  }

  /** Everybody has everything. */
  settle(): Y.Doc[] {
    for (const { doc: to } of this.#replicas) for (const { doc: from } of this.#replicas) this.merge(to, from)
    for (const { doc: to } of this.#replicas) for (const { doc: from } of this.#replicas) this.merge(to, from)
    return this.#replicas.map(({ doc }) => doc)
  }
}

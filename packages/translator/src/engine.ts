import { IdSet, PolyphonyError, resolveLimits, type LimitName } from '@polyphony/core'
import type * as Y from 'yjs'
import { workOf } from './carry-out.ts'
import type { IngestLimits } from './ingest.ts'
import type { JsonValue } from './json-value.ts'
import type { Moment } from './moment.ts'
import { Layout, type LayoutOptions } from './mounts.ts'
import { parsePatch, type Conflict, type Step } from './patch.ts'
import { Planner } from './plan.ts'
import { Positions } from './positions.ts'
import { projectDocument } from './project.ts'
import { toIdSet } from './revision-log.ts'
import { createScene, rootNode } from './scene.ts'
import { Writer } from './writer.ts'
import { clockOf } from './yjs.ts'

/** `merge` leaves out what became impossible and reports it; `strict` refuses the whole patch then. */
export type Policy = 'merge' | 'strict'

export interface EngineOptions extends LayoutOptions {
  /** Overrides of the limits for JSON that comes in. */
  readonly limits?: Partial<Record<LimitName, number>> | undefined
}

export interface WriteOptions {
  readonly policy?: Policy | undefined
  /** Origin of the Yjs transaction. */
  readonly origin?: unknown
  /** Whether the patch may splice strings. */
  readonly splices?: boolean | undefined
}

/** What a write did to the document, in ids. */
export interface Written {
  readonly applied: number
  readonly conflicts: readonly Conflict[]
  /** Whether there was anything to do. */
  readonly changed: boolean
  readonly inserted: IdSet
  /** What the write deleted, and what its author takes for deleted though others had done it. */
  readonly deleted: IdSet
}

/** The one way in: plan on an overlay of what the author sees, then carry out in one transaction. */
export class Engine {
  readonly doc: Y.Doc
  readonly layout: Layout
  readonly limits: IngestLimits
  readonly positions = new Positions()

  constructor(doc: Y.Doc, options: EngineOptions) {
    this.doc = doc
    this.layout = new Layout(options)
    this.limits = resolveLimits(options.limits)
  }

  patch(patch: unknown, moment: Moment, options: WriteOptions): Written {
    return this.#write(parsePatch(patch, this.limits.patchOperationsMax, options.splices), moment, options)
  }

  assign(value: JsonValue, path: readonly string[], moment: Moment, options: WriteOptions): Written {
    return this.#write([{ index: 0, op: 'replace', path, from: [], value }], moment, options)
  }

  #write(steps: readonly Step[], moment: Moment, { policy = 'merge', origin = null }: WriteOptions): Written {
    const { doc, layout, limits } = this
    const scene = createScene(doc, moment, this.positions)
    const root = rootNode(scene, doc, layout, true)
    const strict = policy === 'strict'
    const planner = new Planner(scene, root, { limits, members: 0 }, strict, () =>
      projectDocument(doc, layout),
    )
    for (const step of steps) planner.run(step)
    planner.finish()
    const conflicts = distinct(planner.conflicts)
    if (strict && conflicts.length > 0)
      throw new PolyphonyError(
        'conflict',
        'Others have changed what the patch is about; read again and redo it',
        {
          index: conflicts[0]?.index,
          extra: { conflicts },
        },
      )
    const { actions, removed } = workOf(root)
    const skipped = new Set(conflicts.filter((conflict) => conflict.skipped).map(({ index }) => index))
    const inserted = new IdSet()
    const deleted = new IdSet()
    deleted.addAll(removed)
    if (actions.length > 0) {
      const start = clockOf(doc, doc.clientID)
      doc.transact((transaction) => {
        const writer = new Writer(transaction)
        for (const action of actions) action(writer)
        inserted.add(doc.clientID, start, clockOf(doc, doc.clientID) - start)
        deleted.addAll(toIdSet(transaction.deleteSet))
      }, origin)
    }
    return { applied: steps.length - skipped.size, conflicts, changed: actions.length > 0, inserted, deleted }
  }
}

/** One report per operation, place and reason. */
function distinct(conflicts: readonly Conflict[]): Conflict[] {
  const seen = new Set<string>()
  return conflicts.filter(({ index, reason, path }) => {
    const key = `${index} ${reason} ${path}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

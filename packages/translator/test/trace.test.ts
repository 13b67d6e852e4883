import { describe, expect, it } from 'vitest'
import * as Y from 'yjs'
import { advance, JsonView, type JsonPatch, type Version } from '../src/index.ts'
import type { Operation } from './oracle/json.ts'
import { soak } from './oracle/runs.ts'
import { readTrace, TraceModel, type Typing } from './oracle/trace.ts'

const trace = readTrace()
// The whole trace in the long tier; enough of it to have thousands of concurrent edits in the short one.
const typing = trace.typing.slice(0, soak ? trace.typing.length : 3_000)

/** The content in the end, by the list model. */
const end = contentOf(typing)

function contentOf(typing: readonly Typing[]): string {
  const model = new TraceModel()
  for (const each of typing) model.apply(each)
  return model.content
}

describe('two people typing at once, each patch against what its author saw', () => {
  it.runIf(soak)('the list model ends in the recorded content', () => {
    expect(end).toBe(trace.endContent)
  })

  it('as an array of characters', { timeout: 600_000 }, () => {
    const doc = new Y.Doc({ gc: false })
    doc.getMap('state').set('text', new Y.Array())
    const concurrent = replay(doc, ({ patches }) =>
      patches.flatMap(([position, deleteCount, inserted]): Operation[] => [
        ...Array.from({ length: deleteCount }, (): Operation => ({
          op: 'remove',
          path: `/text/${position}`,
        })),
        ...Array.from(inserted).map((value, i): Operation => ({
          op: 'add',
          path: `/text/${position + i}`,
          value,
        })),
      ]),
    )
    const characters = doc.getMap('state').get('text') as Y.Array<string>
    expect(characters.toArray().join('')).toBe(end)
    expect(concurrent).toBeGreaterThan(soak ? 11_000 : 500)
  })

  it('as whole-string replaces of a text', { timeout: 600_000 }, () => {
    const doc = new Y.Doc({ gc: false })
    doc.getMap('state').set('text', new Y.Text())
    // The model runs along, because all texts of all transactions together are a gigabyte.
    const model = new TraceModel()
    replay(doc, (typing) => [{ op: 'replace', path: '/text', value: model.apply(typing) }])
    expect((doc.getMap('state').get('text') as Y.Text).toJSON()).toBe(end)
  })
})

/** Applies every transaction at its author's version, in file order. Returns how many were concurrent with others. */
function replay(doc: Y.Doc, toPatch: (typing: Typing) => Operation[]): number {
  const view = new JsonView(doc, { retain: { versions: Infinity, ms: Infinity, bytes: Infinity } })
  const start = view.version
  // Per agent: the version after each of its transactions, and what the agent itself sees.
  const after = new Map<number, Version[]>()
  const sees = new Map<number, { version: Version; others: number }>()
  let concurrent = 0
  for (const each of typing) {
    const mine = sees.get(each.agent) ?? { version: start, others: 0 }
    const other = 1 - each.agent
    const others = each.seen[other] ?? 0
    const to = others > mine.others ? after.get(other)?.[others - 1] : undefined
    const at = to === undefined ? mine.version : advance(mine.version, to)
    const { conflicts, version } = view.apply(toPatch(each) as unknown as JsonPatch, { at })
    // Deleting what the other one has deleted at the same time is the only conflict that typing can have.
    for (const { reason } of conflicts) expect(reason).toBe('already-deleted')
    sees.set(each.agent, { version, others })
    const mineAfter = after.get(each.agent)
    if (mineAfter === undefined) after.set(each.agent, [view.version])
    else mineAfter.push(view.version)
    if (others < (after.get(other)?.length ?? 0)) concurrent += 1
  }
  view.destroy()
  return concurrent
}

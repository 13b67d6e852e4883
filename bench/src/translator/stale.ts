import { JsonView } from '@polyphony/translator'
import * as Y from 'yjs'
import { itemAt, itemsOf, makeSmall } from './documents.ts'
import { measure, type Times } from './measure.ts'

export interface StaleRow {
  readonly elements: number
  readonly behind: number
  readonly first: number
  readonly warm: Times
  readonly catchUp: Times
}

/**
 * A patch of two operations against a version that some changes of others have made stale, in an array of objects; and
 * the difference from that version to now, which is what a reader gets who comes back.
 */
export function benchStale(elements: number, behind: number): StaleRow {
  const doc = makeSmall(elements)
  const view = new JsonView(doc)
  const change = (from: number, count: number): void => {
    for (let i = from; i < from + count; i++) {
      const length = itemsOf(doc).length
      if (i % 4 === 0) itemsOf(doc).insert((i * 7_919) % length, [new Y.Map([['n', -i]])])
      else if (i % 4 === 1) itemsOf(doc).delete((i * 104_729) % length)
      else itemAt(doc, (i * 15_485_863) % length).set('n', i)
    }
  }
  let at = view.version
  change(0, behind)
  const patch = (index: number): unknown => [
    { op: 'replace', path: `/items/${(index * 31_337) % (elements >> 1)}/n`, value: index },
    { op: 'add', path: `/items/${(index * 27_644_437) % (elements >> 1)}`, value: { n: index } },
  ]
  const start = performance.now()
  view.apply(patch(0) as never, { at })
  const first = performance.now() - start
  const warm = measure({
    repeats: 31,
    warmups: 5,
    // Every run has a version of its own, that many changes ago, so that nothing is remembered from the run before.
    prepare: (index) => {
      at = view.version
      change(1_000 + index * behind, behind)
      return patch(index)
    },
    run: (operations) => view.apply(operations as never, { at }),
  })
  const catchUp = measure({
    repeats: 31,
    warmups: 3,
    prepare: (index) => {
      at = view.version
      change(100_000 + index * behind, behind)
    },
    run: () => view.diff(at),
  })
  view.destroy()
  return { elements, behind, first, warm, catchUp }
}

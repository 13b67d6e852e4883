import { JsonView, type JsonPatch, type Version } from '@polyphony/translator'
import jsonpatch from 'fast-json-patch'
import type * as Y from 'yjs'
import { itemAt, itemsOf, makeRecord } from './documents.ts'
import { measure, type Times } from './measure.ts'

export interface OutRow {
  readonly change: string
  readonly ours: Times
  /** `undefined` when it was left out because the state is too large for it. */
  readonly naive: Times | undefined
  readonly ourBytes: number
  readonly naiveBytes: number | undefined
}

interface Change {
  readonly name: string
  readonly edit: (doc: Y.Doc, index: number) => void
}

const changes: readonly Change[] = [
  {
    name: 'one field',
    edit: (doc, index) => itemAt(doc, spread(doc, index)).set('title', `changed ${index}`),
  },
  { name: 'head insert', edit: (doc, index) => itemsOf(doc).insert(0, [makeRecord(-index)]) },
  {
    name: '100 fields',
    edit: (doc, index) =>
      doc.transact(() => {
        for (let i = 0; i < 100; i++) itemAt(doc, spread(doc, index * 100 + i)).set('priority', index + i)
      }),
  },
]

/** Changes out: one flush of a view against projecting the whole document and comparing it with the last projection. */
export function benchOut(doc: Y.Doc, naive: boolean): OutRow[] {
  const view = new JsonView(doc)
  const rows = changes.map((change) => {
    const { times: ours, bytes: ourBytes } = flushTimes(doc, view, change)
    const theirs = naive ? naiveTimes(doc, change) : undefined
    return { change: change.name, ours, naive: theirs?.times, ourBytes, naiveBytes: theirs?.bytes }
  })
  view.destroy()
  return rows
}

/** A place that differs from run to run and reaches the whole array, its end included. */
function spread(doc: Y.Doc, index: number): number {
  return (index * 7_919 + 13) % itemsOf(doc).length
}

export function flushTimes(doc: Y.Doc, view: JsonView, { edit }: Change): { times: Times; bytes: number } {
  let version: Version = view.version
  let patch: JsonPatch = []
  const times = measure({
    repeats: 51,
    warmups: 20,
    prepare: (index) => {
      version = view.version
      edit(doc, index)
    },
    run: () => {
      patch = view.diff(version)
      version = view.version
      return patch
    },
  })
  return { times, bytes: JSON.stringify(patch).length }
}

function naiveTimes(doc: Y.Doc, { edit }: Change): { times: Times; bytes: number } {
  let last = doc.getMap('state').toJSON()
  let patch: jsonpatch.Operation[] = []
  const times = measure({
    repeats: itemsOf(doc).length > 10_000 ? 3 : 7,
    warmups: 1,
    prepare: (index) => edit(doc, index + 1_000),
    run: () => {
      const next = doc.getMap('state').toJSON()
      patch = jsonpatch.compare(last, next)
      last = next
      return patch
    },
  })
  return { times, bytes: JSON.stringify(patch).length }
}

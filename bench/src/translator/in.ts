import { JsonView } from '@polyphony/translator'
import jsonpatch from 'fast-json-patch'
import { bind } from 'immer-yjs'
import * as Y from 'yjs'
import { itemsOf } from './documents.ts'
import { measure, type Times } from './measure.ts'

export interface InRow {
  readonly patch: string
  readonly ours: Times
  /** `undefined` when it was left out because the state is too large for it. */
  readonly immer: Times | undefined
  readonly reload: Times | undefined
}

type Operations = jsonpatch.Operation[]
type State = {
  items: { title: string; priority: number }[]
}

/**
 * A JSON Patch into the document, as it is now: ours; a draft of `immer-yjs`, given the same change (it knows no JSON
 * Patch); and what one does without either: patch the JSON and load the result into the document anew.
 */
export function benchIn(doc: Y.Doc, others: boolean): InRow[] {
  const count = itemsOf(doc).length
  const place = (index: number): number => (index * 7_919 + 13) % count
  const cases = [
    {
      patch: '1 replace',
      operations: (index: number): Operations => [
        { op: 'replace', path: `/items/${place(index)}/title`, value: `in ${index}` },
      ],
      draft: (state: State, index: number): void => {
        const item = state.items[place(index)]
        if (item !== undefined) item.title = `in ${index}`
      },
    },
    {
      patch: 'test, replace, add, remove',
      operations: (index: number): Operations => [
        { op: 'test', path: `/items/${place(index)}/id`, value: idAt(doc, place(index)) },
        { op: 'replace', path: `/items/${place(index)}/priority`, value: index },
        { op: 'add', path: `/items/${place(index)}`, value: { title: 'new', priority: 1 } },
        { op: 'remove', path: `/items/${place(index)}` },
      ],
      draft: (state: State, index: number): void => {
        const item = state.items[place(index)]
        if (item !== undefined) item.priority = index
        state.items.splice(place(index), 0, { title: 'new', priority: 1 })
        state.items.splice(place(index), 1)
      },
    },
  ]
  const view = new JsonView(doc)
  const rows = cases.map(({ patch, operations, draft }): InRow => {
    const ours = measure({
      repeats: 31,
      warmups: 10,
      prepare: operations,
      run: (operations) => view.apply(operations as never),
    })
    if (!others) return { patch, ours, immer: undefined, reload: undefined }
    return { patch, ours, immer: immerTimes(doc, draft), reload: reloadTimes(doc, operations) }
  })
  view.destroy()
  return rows
}

function idAt(doc: Y.Doc, index: number): string {
  return itemsOf(doc).get(index).get('id') as string
}

/** On a copy, because every binder listens to its document for good. */
function copy(doc: Y.Doc): Y.Doc {
  const other = new Y.Doc({ gc: false })
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc))
  return other
}

function immerTimes(doc: Y.Doc, draft: (state: State, index: number) => void): Times {
  const binder = bind<State>(copy(doc).getMap('state'))
  const times = measure({
    repeats: 11,
    warmups: 5,
    prepare: (index) => index,
    run: (index) => binder.update((state) => draft(state, index)),
  })
  binder.unbind()
  return times
}

function reloadTimes(doc: Y.Doc, operations: (index: number) => Operations): Times {
  const target = copy(doc)
  return measure({
    repeats: 3,
    warmups: 1,
    prepare: operations,
    run: (operations) => {
      const state = target.getMap('state')
      const { newDocument } = jsonpatch.applyPatch(
        state.toJSON(),
        operations.filter(({ op }) => op !== 'test'),
      )
      target.transact(() => {
        state.clear()
        for (const [key, value] of Object.entries(newDocument)) state.set(key, toShared(value))
      })
    },
  })
}

function toShared(value: unknown): unknown {
  if (Array.isArray(value)) {
    const array = new Y.Array<unknown>()
    array.push(value.map(toShared))
    return array
  }
  if (typeof value !== 'object' || value === null) return value
  return new Y.Map(Object.entries(value).map(([key, part]) => [key, toShared(part)]))
}

import { JsonMirror, JsonView } from '@polyphony/translator'
import { itemAt, itemsOf, makeSmall } from './documents.ts'
import { measure, type Times } from './measure.ts'

export interface MirrorRow {
  readonly elements: number
  readonly mirror: Times
  readonly copy: Times
}

/** An immutable value after one change of a field, against projecting everything anew. */
export function benchMirror(elements: number): MirrorRow {
  const doc = makeSmall(elements)
  const view = new JsonView(doc)
  const mirror = new JsonMirror(view)
  const edit = (index: number): void => {
    itemAt(doc, (index * 7_919 + 13) % itemsOf(doc).length).set('n', -index)
  }
  const times = measure({ repeats: 31, warmups: 10, prepare: edit, run: () => mirror.value })
  const copy = measure({
    repeats: 5,
    warmups: 1,
    prepare: edit,
    run: () => doc.getMap('state').toJSON(),
  })
  mirror.destroy()
  view.destroy()
  return { elements, mirror: times, copy }
}

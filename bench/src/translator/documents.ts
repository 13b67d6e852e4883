import * as Y from 'yjs'

/** About one kilobyte of JSON, like a row of an application: a few fields, a tag list, a longer string. */
export function makeRecord(index: number): Y.Map<unknown> {
  const record = new Y.Map<unknown>()
  record.set('id', `record-${index}`)
  record.set('title', `Record number ${index}`)
  record.set('done', index % 2 === 0)
  record.set('priority', index % 5)
  record.set('body', String.fromCharCode(97 + (index % 26)).repeat(880))
  return record
}

/** `{ items: [records] }` of about `bytes` bytes of JSON. */
export function makeRecords(count: number): Y.Doc {
  const doc = new Y.Doc({ gc: false })
  const items = new Y.Array<Y.Map<unknown>>()
  doc.transact(() => {
    doc.getMap('state').set('items', items)
    for (let from = 0; from < count; from += 10_000)
      items.push(Array.from({ length: Math.min(10_000, count - from) }, (_, i) => makeRecord(from + i)))
  })
  return doc
}

/** `{ items: [{ n }] }`: a long array of small objects, where positions cost more than bytes. */
export function makeSmall(count: number): Y.Doc {
  const doc = new Y.Doc({ gc: false })
  const items = new Y.Array<Y.Map<unknown>>()
  doc.transact(() => {
    doc.getMap('state').set('items', items)
    for (let from = 0; from < count; from += 10_000)
      items.push(
        Array.from({ length: Math.min(10_000, count - from) }, (_, i) => {
          const item = new Y.Map<unknown>()
          item.set('n', from + i)
          return item
        }),
      )
  })
  return doc
}

export function itemsOf(doc: Y.Doc): Y.Array<Y.Map<unknown>> {
  return doc.getMap('state').get('items') as Y.Array<Y.Map<unknown>>
}

export function itemAt(doc: Y.Doc, index: number): Y.Map<unknown> {
  return itemsOf(doc).get(index)
}

/** A text of about `length` units in lines of 80. */
export function makeText(length: number): string {
  const line = `${'lorem ipsum dolor '.repeat(5).slice(0, 79)}\n`
  return line.repeat(Math.ceil(length / line.length)).slice(0, length)
}

import { JsonView, text } from '@polyphony/translator'
import * as Y from 'yjs'
import { makeText } from './documents.ts'
import { measure, type Times } from './measure.ts'

export interface TextRow {
  readonly units: number
  readonly whole: Times
  readonly wholeBytes: number
  readonly lines: Times
  readonly linesBytes: number
  readonly naive: Times
}

/** One keystroke in the middle of a long text: as a whole string, as one line of an array, and by comparing projections. */
export function benchText(units: number): TextRow {
  const whole = typing(units, 'string')
  const lines = typing(units, 'lines')
  const doc = makeTextDoc(units)
  let last = doc.getText('text').toJSON()
  const naive = measure({
    repeats: 21,
    warmups: 5,
    prepare: (index) => doc.getText('text').insert((units >> 1) + index, 'x'),
    run: () => {
      const next = doc.getText('text').toJSON()
      const patch = next === last ? [] : [{ op: 'replace', path: '/text', value: next }]
      last = next
      return patch
    },
  })
  return {
    units,
    whole: whole.times,
    wholeBytes: whole.bytes,
    lines: lines.times,
    linesBytes: lines.bytes,
    naive,
  }
}

function makeTextDoc(units: number): Y.Doc {
  const doc = new Y.Doc({ gc: false })
  doc.getText('text').insert(0, makeText(units))
  return doc
}

function typing(units: number, mode: 'string' | 'lines'): { times: Times; bytes: number } {
  const doc = makeTextDoc(units)
  const view = new JsonView(doc, { mounts: { '/text': text('text') }, texts: { '/text': mode } })
  let version = view.version
  let patch: unknown = []
  const times = measure({
    repeats: 51,
    warmups: 20,
    prepare: (index) => {
      version = view.version
      doc.getText('text').insert((units >> 1) + index, 'x')
    },
    run: () => {
      patch = view.diff(version)
      return patch
    },
  })
  view.destroy()
  return { times, bytes: JSON.stringify(patch).length }
}

import type { JsonCursor } from '@polyphony/translator'

/** About what a piece may cost to make. */
const pieceUsMax = 4_000
const stepUs = 2
const pauseUs = 250
const textUs = 0.005

/**
 * The JSON text of what a cursor walks through, in pieces of about `length` UTF-16 units, so that no piece takes long to
 * make. Only a single string is never cut. A piece may be empty: then finding out took as long as making one.
 */
export function* jsonTexts(cursor: JsonCursor, length: number): Generator<string> {
  /** What closes each object and array that is open. */
  const closers: ('}' | ']')[] = []
  let text = ''
  let costUs = 0
  let separator = ''
  for (let step = cursor.next(); step !== 'end'; step = cursor.next()) {
    costUs += step === 'pause' ? pauseUs : stepUs
    if (step === 'close') {
      text += closers.pop() ?? ''
      separator = ','
    } else if (step !== 'pause') {
      text += cursor.key === undefined ? separator : `${separator}${JSON.stringify(cursor.key)}:`
      if (step === 'value') {
        const value = JSON.stringify(cursor.value)
        text += value
        costUs += value.length * textUs
        separator = ','
      } else {
        text += step === 'object' ? '{' : '['
        closers.push(step === 'object' ? '}' : ']')
        separator = ''
      }
    }
    if (text.length < length && costUs < pieceUsMax) continue
    yield text
    text = ''
    costUs = 0
  }
  if (text !== '') yield text
}

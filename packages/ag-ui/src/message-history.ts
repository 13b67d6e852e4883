import type { Message } from '@ag-ui/core'
import type { MessageEdit } from './message-edit.ts'
import { answerOf } from './message-fold.ts'

/**
 * What a client's history adds to the messages of a document: those that the document does not know, in their order.
 * What stands between two known messages goes behind the first of them; what comes after the last known one goes to the
 * end, behind what others have written meanwhile; a tool's answer goes to its call. Nothing is changed or removed.
 */
export function mergeHistory(known: readonly Message[], history: readonly Message[]): MessageEdit[] {
  const ids = new Set(known.map(({ id }) => id))
  const lastKnown = history.findLastIndex(({ id }) => ids.has(id))
  const edits: MessageEdit[] = []
  const answers: MessageEdit[] = []
  // What comes before the first known message goes in front of it.
  const firstKnown = history.find(({ id }) => ids.has(id))?.id
  let previous = known[known.findIndex(({ id }) => id === firstKnown) - 1]?.id
  history.forEach((message, index) => {
    if (ids.has(message.id)) {
      previous = message.id
      return
    }
    ids.add(message.id)
    const place = message.role === 'tool' ? 'result' : index > lastKnown ? 'end' : { after: previous }
    edits.push({ type: 'add', message, status: 'complete', place })
    if (message.role === 'tool') answers.push(answerOf(message))
    else previous = message.id
  })
  return [...edits, ...answers]
}

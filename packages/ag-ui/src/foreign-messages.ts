import type { Message } from '@ag-ui/core'
import type { ConversationEntry } from './conversation.ts'

/** A message that a client has and the document does not, and which one it stands behind at the client. */
export interface ForeignMessage {
  readonly message: Message
  readonly after: string | undefined
}

/** The messages of a client's history that the document does not have. */
export function foreignMessages(
  entries: readonly ConversationEntry[],
  history: readonly Message[],
): ForeignMessage[] {
  const known = new Set(entries.map(({ message }) => message.id))
  return history.flatMap((message, index) =>
    known.has(message.id) ? [] : [{ message, after: history[index - 1]?.id }],
  )
}

/**
 * The messages of a document with those of a client in between: a list of messages that is sent as a whole would
 * otherwise take from the client what only it has.
 */
export function weaveForeign(
  entries: readonly ConversationEntry[],
  foreign: readonly ForeignMessage[],
): ConversationEntry[] {
  const known = new Set(entries.map(({ message }) => message.id))
  const waiting = new Map<string | undefined, ForeignMessage[]>()
  let last: string | undefined
  for (const one of foreign) {
    // One that the document has got by now is told like all others.
    if (known.has(one.message.id)) continue
    // Where the one before is gone, it stays with whatever came before that.
    const after = one.after === undefined || known.has(one.after) ? one.after : last
    waiting.set(after, [...(waiting.get(after) ?? []), one])
    last = after
  }
  const woven = (waiting.get(undefined) ?? []).map(entryOf)
  for (const entry of entries) woven.push(entry, ...(waiting.get(entry.message.id) ?? []).map(entryOf))
  return woven
}

const entryByMessage = new WeakMap<Message, ConversationEntry>()

function entryOf({ message }: ForeignMessage): ConversationEntry {
  const known = entryByMessage.get(message)
  if (known !== undefined) return known
  const entry = {
    message,
    stored: { ...message, status: 'complete' },
    streams: [],
  } as unknown as ConversationEntry
  entryByMessage.set(message, entry)
  return entry
}

import { checkEdits, mergeHistory, readConversation, writeMessages, type Message } from '@polyphony/ag-ui'
import type { Limits } from '@polyphony/core'
import type { Authorship, DocumentHandle } from './document-handle.ts'

/**
 * Adds those of a client's messages that the document does not know. Resolves with the messages of the document after
 * that, as the client will see them. Throws what goes beyond the limits of messages.
 */
export async function takeHistory(
  handle: DocumentHandle,
  authorship: Authorship,
  history: readonly Message[],
  { limits, nowMs }: { readonly limits: Limits; readonly nowMs: number },
): Promise<readonly Message[]> {
  const known = await handle.read((view) => readConversation(view.doc).map(({ message }) => message))
  if (mergeHistory(known, history).length === 0) return known
  const { author, runId } = authorship
  const outcome = await handle.edit(authorship, (view) => {
    const before = readConversation(view.doc).map(({ message }) => message)
    const edits = mergeHistory(before, history)
    checkEdits(edits, before.length, limits)
    writeMessages(view.doc, edits, { author, runId, createdAtMs: nowMs })
    return readConversation(view.doc).map(({ message }) => message)
  })
  return outcome.result ?? known
}

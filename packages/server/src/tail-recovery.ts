import * as Y from 'yjs'
import type { Room } from './room.ts'

/** Who stands in the log as the author of what was restored; the authors themselves are lost with their entries. */
export const recoveryAuthor = 'polyphony:recovery'

/**
 * Writes again what a room knew to be committed and the store has lost since: the part of it that the document lacks
 * now. Every node that had the document open does this; what another one was quicker with adds nothing.
 */
export async function restoreTail(lost: Room, room: Room): Promise<void> {
  const has = Y.decodeStateVector(room.encodeStateVector())
  for (const update of await lost.base.encodeDiff(has)) await room.submit({ author: recoveryAuthor }, update)
}

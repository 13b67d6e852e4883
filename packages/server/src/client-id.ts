/**
 * The Yjs client id of a server process in one life of a document: replicas of an earlier life may still be about, and an
 * id must never stand for two different things. (FNV-1a with a final mix.)
 */
export function clientIdOf(processId: number, incarnation: string | undefined): number {
  let hash = processId ^ 0x811c9dc5
  for (const character of incarnation ?? '')
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}

import { PolyphonyError } from '@polyphony/core'
import { openRecord, sealRecord } from '@polyphony/storage'
import { metaKey } from './keys.ts'
import type { LevelDatabase } from './level-database.ts'

/*
 * What the store says of itself: version of the layout, whether writes waited for the disk, whether it was closed
 * properly, and the generation. A store that did not wait for the disk and was not closed properly may have lost the end
 * of any log, so that numbers may come again with other content. It enters a new generation, which is part of every
 * incarnation: whoever holds a revision of the old one is told that it means nothing any more.
 */
const layoutVersion = 1
const sessionKind = 18
const key = metaKey('session')

interface Session {
  readonly layout: number
  readonly fsync: boolean
  readonly closed: boolean
  readonly generation: number
}

/** Begins a session; returns what is added to every incarnation in it. */
export async function beginSession(database: LevelDatabase, fsync: boolean): Promise<string> {
  const before = await readSession(database)
  const lost = before !== undefined && !before.closed && !before.fsync
  const generation = (before?.generation ?? 0) + (lost ? 1 : 0)
  await writeSession(database, { layout: layoutVersion, fsync, closed: false, generation })
  return generation === 0 ? '' : `~${generation}`
}

/** Ends it properly: everything that was written is on disk. */
export async function endSession(database: LevelDatabase): Promise<void> {
  const session = await readSession(database)
  if (session !== undefined) await writeSession(database, { ...session, closed: true })
}

async function readSession(database: LevelDatabase): Promise<Session | undefined> {
  const record = await database.get(key)
  if (record === undefined) return undefined
  const place = { kind: sessionKind, context: key, what: 'the record of the session' }
  // The checksum has vouched for the bytes, and `writeSession` wrote them.
  const session = JSON.parse(new TextDecoder().decode(openRecord(record, place))) as Session
  if (session.layout !== layoutVersion) {
    throw new PolyphonyError(
      'store-failed',
      `The database has layout ${session.layout}, and this version knows ${layoutVersion}: use the version that made it.`,
    )
  }
  return session
}

async function writeSession(database: LevelDatabase, session: Session): Promise<void> {
  const value = sealRecord(sessionKind, key, [new TextEncoder().encode(JSON.stringify(session))])
  await database.batch([{ type: 'put', key, value }], true)
}

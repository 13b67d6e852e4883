import { PolyphonyError, type Logger } from '@polyphony/core'
import { openRecord, sealRecord } from '@polyphony/storage'
import { metaKey } from './keys.ts'
import type { LevelDatabase } from './level-database.ts'

/*
 * What the store says of itself: version of the layout, whether writes waited for the disk, whether it was closed
 * properly, and the generation. A store that did not wait for the disk and was not closed properly may have lost the end
 * of any log, so that numbers may come again with other content. So may one whose directory is a copy of an earlier time.
 * It enters a new generation, which is part of every incarnation: whoever holds a revision of the old one is told that it
 * means nothing any more.
 */
const layoutVersion = 1
const sessionKind = 18
const key = metaKey('session')

interface Session {
  readonly layout: number
  readonly fsync: boolean
  readonly closed: boolean
  readonly generation: number
  /** The file that the directory has if this opening got that far, and the one before. */
  readonly places?: readonly (string | undefined)[] | undefined
}

/** Tells the directory of a store from its copies. */
export interface Place {
  /** The identity of the file that is there; `undefined` when none is. */
  find(): Promise<string | undefined>
  /** Makes the next file; it takes the place of the one before with `commit`. */
  prepare(): Promise<{ readonly identity: string; commit(): Promise<void> }>
}

export interface SessionOptions {
  readonly fsync: boolean
  readonly place: Place | undefined
  readonly logger: Logger
}

/** Begins a session; returns what is added to every incarnation in it. */
export async function beginSession(
  database: LevelDatabase,
  { fsync, place, logger }: SessionOptions,
): Promise<string> {
  const before = await readSession(database)
  const lost = before !== undefined && !before.closed && !before.fsync
  const found = await place?.find()
  const copied = place !== undefined && before?.places !== undefined && !before.places.includes(found)
  if (copied)
    logger.warn(
      {},
      'the directory is a copy, or was put back: its documents have new incarnations from now on',
    )
  const generation = (before?.generation ?? 0) + (lost || copied ? 1 : 0)
  const next = await place?.prepare()
  // The record first: whether or not the file is replaced after it, what is found next time is in it.
  const places = next === undefined ? before?.places : [next.identity, found]
  await writeSession(database, { layout: layoutVersion, fsync, closed: false, generation, places })
  await next?.commit()
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

import type { SlicedWork } from '@polyphony/core'
import { BaseState } from './base-state.ts'
import type { DocumentLog } from './document-log.ts'
import type { Intake } from './intake.ts'
import { LogPiece } from './log-piece.ts'
import type { RoomState } from './room-options.ts'
import { updateCostUs } from './update-cost.ts'

/** Brings what is stored of a document into the log of a room, and its frontier to where the log ends. */
export function* loadLog(
  { baseRevision, base, tail }: RoomState,
  log: DocumentLog,
  intake: Intake,
): SlicedWork<void> {
  const pieces: LogPiece[] = []
  // Taken out one by one, so that no update is in memory twice for long.
  for (let update = base.shift(); update !== undefined; update = base.shift()) {
    const increment = intake.load(update)
    log.reach(increment)
    pieces.push(new LogPiece(update, increment.clocks))
    yield updateCostUs(update.length)
  }
  log.start(new BaseState(baseRevision, pieces))
  for (const { revision, update, meta } of tail) {
    log.append({ revision, update, increment: intake.load(update), committedAtMs: meta.committedAtMs })
    yield updateCostUs(update.length)
  }
}

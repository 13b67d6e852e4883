import type { CommittedEntry } from './document-log.ts'
import { LogPiece } from './log-piece.ts'
import { mergeUpdates } from './update-writer.ts'

const pieceEntriesMax = 1_024
const pieceBytesMax = 1 << 20

interface Group {
  readonly entries: CommittedEntry[]
  bytes: number
  piece: LogPiece | undefined
  /** How many of the entries are in `piece`. */
  mergedCount: number
}

/** Merges entries into pieces of a bounded size: once, when somebody asks; what comes later extends the last piece. */
export class TailMerger {
  readonly #groups: Group[] = []

  add(entry: CommittedEntry): void {
    const last = this.#groups.at(-1)
    const fits =
      last !== undefined &&
      last.entries.length < pieceEntriesMax &&
      last.bytes + entry.update.length <= pieceBytesMax
    if (fits) {
      last.entries.push(entry)
      last.bytes += entry.update.length
    } else {
      this.#groups.push({ entries: [entry], bytes: entry.update.length, piece: undefined, mergedCount: 0 })
    }
  }

  /** The pieces in order, each made when it is asked for. */
  *pieces(): Generator<LogPiece> {
    for (const group of this.#groups) yield this.#pieceOf(group)
  }

  #pieceOf(group: Group): LogPiece {
    const { entries, piece, mergedCount } = group
    if (piece !== undefined && mergedCount === entries.length) return piece
    const more = entries.slice(mergedCount)
    const clocks = new Map(piece?.clocks)
    for (const { increment } of more) for (const [client, end] of increment.clocks) clocks.set(client, end)
    const updates = more.map(({ update }) => update)
    group.piece = new LogPiece(
      mergeUpdates(piece === undefined ? updates : [piece.update, ...updates]),
      clocks,
    )
    group.mergedCount = entries.length
    return group.piece
  }
}

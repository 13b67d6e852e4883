import type { ImportTotals } from './import-run.ts'
import { formatBytes } from './progress-line.ts'

export interface ImportWay {
  readonly from: string
  readonly to: string
  readonly dryRun: boolean
}

/** What an import did, or would do, in a few lines. */
export function summaryOf(totals: ImportTotals, { from, to, dryRun }: ImportWay): string {
  const { kinds, documents, seen, bytes, fromJournal, verified, stopped } = totals
  const count = (number: number): string => number.toLocaleString('en')
  const rows: readonly (readonly [number, string])[] = [
    [kinds.imported, dryRun ? 'would be imported' : 'imported'],
    [kinds.merged, dryRun ? 'would be merged' : 'merged with what is there'],
    [kinds.present, `there already${fromJournal > 0 ? ` (${count(fromJournal)} by the journal)` : ''}`],
    [kinds.differs, 'left alone: the store has another document of the same id'],
    [kinds.failed, 'failed'],
    [documents - seen, 'not reached'],
    [verified, 'read back and compared with the source: equal'],
  ]
  const lines = rows.filter(([number]) => number > 0).map(([number, text]) => `  ${count(number)} ${text}`)
  const title = `${dryRun ? 'Dry run: ' : ''}${count(documents)} documents of ${from} to ${to}, ${formatBytes(bytes)}:`
  const ending = stopped === undefined ? [] : [`Ended early: ${stopped}. Run it again to go on.`]
  return [title, ...lines, ...ending].join('\n')
}

/** Whether everything in the source is in the store now, or could be. */
export function isComplete({ kinds, stopped }: ImportTotals): boolean {
  return kinds.differs === 0 && kinds.failed === 0 && stopped === undefined
}

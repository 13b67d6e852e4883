import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { resolveLimits, type Clock, type Logger } from '@polyphony/core'
import { Expected } from './expected.ts'
import { parseFlags } from './flags.ts'
import { DocumentImporter } from './import/document-importer.ts'
import { ImportJournal } from './import/import-journal.ts'
import { runImport, type ImportTotals } from './import/import-run.ts'
import { ProgressLine } from './import/progress-line.ts'
import { openSource, parseSourceLocation, type SourceLocation } from './import/source-location.ts'
import { isComplete, summaryOf } from './import/summary.ts'
import {
  openTarget,
  parseTargetLocation,
  titleOfTarget,
  type TargetLocation,
} from './import/target-location.ts'
import { parseProjections, type Projections } from './projections.ts'
import { stopSignal } from './signals.ts'
import { UsageError } from './usage-error.ts'

/**
 * Brings the documents of another system into a store. Returns the exit code: 0 when all of them are there now (or could
 * be, in a dry run), 1 when some are not.
 */
export async function importDocuments(args: readonly string[]): Promise<number> {
  const request = parseRequest(args)
  const { dryRun } = request
  const progress = new ProgressLine(process.stderr, lastingClock)
  const stopping = new AbortController()
  void stopSignal().then(() => stopping.abort())
  const { totals, from } = await run(request, progress, stopping.signal)
  process.stdout.write(`${summaryOf(totals, { from, to: titleOfTarget(request.to), dryRun })}\n`)
  return isComplete(totals) ? 0 : 1
}

async function run(
  request: ImportRequest,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<{ totals: ImportTotals; from: string }> {
  const { from, to, prefix, projections, dryRun, verify, merge, dropPending, allowVolatile } = request
  const source = await openSource(from, (name) => projections(prefix + name))
  try {
    const subject = { from: source.title, store: titleOfTarget(to), prefix }
    const journal = request.resume === undefined ? undefined : ImportJournal.open(request.resume, subject)
    const store = await openTarget(to, { dryRun, allowVolatile, logger: loggerOn(progress) })
    try {
      const limits = resolveLimits()
      const importer = new DocumentImporter({
        ...{ store, clock: lastingClock, limits, dryRun, merge, verify, dropPending },
      })
      const totals = await runImport({
        ...{ source, importer, prefix, journal, dryRun, verify, signal },
        onProblem: (message) => progress.interrupt(`polyphony: ${message}`),
        onProgress: (totals) => progress.update(totals),
      })
      return { totals, from: source.title }
    } finally {
      progress.end()
      await store.close()
    }
  } finally {
    await source.close()
  }
}

interface ImportRequest {
  readonly from: SourceLocation
  readonly to: TargetLocation
  readonly prefix: string
  readonly projections: Projections
  readonly resume?: string | undefined
  readonly dryRun: boolean
  readonly verify: boolean
  readonly merge: boolean
  readonly dropPending: boolean
  readonly allowVolatile: boolean
}

function parseRequest(args: readonly string[]): ImportRequest {
  const options = {
    from: { type: 'string' },
    store: { type: 'string' },
    prefix: { type: 'string' },
    projections: { type: 'string' },
    resume: { type: 'string' },
    'dry-run': { type: 'boolean' },
    verify: { type: 'boolean' },
    merge: { type: 'boolean' },
    'drop-pending': { type: 'boolean' },
    'allow-volatile': { type: 'boolean' },
  } as const
  const { values: flags } = parseFlags(() => parseArgs({ args: [...args], options }))
  if (flags.from === undefined) throw new UsageError('--from is missing: where do the documents come from?')
  if (flags.store === undefined) throw new UsageError('--store is missing: where do the documents go?')
  const from = parse('--from', flags.from, parseSourceLocation)
  if (from.kind === 'json' && flags.merge === true)
    throw new UsageError(
      '--merge is not for JSON, which has no history to merge: PUT it to the running server, which makes the smallest edits.',
    )
  return {
    from,
    to: parse('--store', flags.store, parseTargetLocation),
    prefix: flags.prefix ?? '',
    projections: parse('--projections', flags.projections ?? '[]', parseProjections),
    resume: flags.resume === undefined ? undefined : resolve(flags.resume),
    dryRun: flags['dry-run'] ?? false,
    verify: flags.verify ?? false,
    merge: flags.merge ?? false,
    dropPending: flags['drop-pending'] ?? false,
    allowVolatile: flags['allow-volatile'] ?? false,
  }
}

function parse<T>(flag: string, text: string, parser: (text: string) => T): T {
  try {
    return parser(text)
  } catch (error) {
    if (error instanceof Expected) throw new UsageError(`${flag}: ${error.message}`)
    throw error
  }
}

/** What a store has to say goes where the progress is. */
function loggerOn(progress: ProgressLine): Logger {
  const say = (fields: Readonly<Record<string, unknown>>, message: string): void =>
    progress.interrupt(`polyphony: ${message} ${JSON.stringify(fields)}`)
  return { debug: () => undefined, info: () => undefined, warn: say, error: say }
}

/** Between two attempts nothing but the timer keeps the process alive. */
const lastingClock: Clock = {
  now: () => Date.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms)
    return () => clearTimeout(timer)
  },
}

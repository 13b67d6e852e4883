import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Clock, Logger } from '@polyphony/core'
import { parseConfiguration, type Configuration } from './configuration.ts'
import { Expected } from './expected.ts'
import { parseFlags } from './flags.ts'
import { importOptions, importSettings } from './import-options.ts'
import { DocumentImporter } from './import/document-importer.ts'
import { ImportJournal } from './import/import-journal.ts'
import { runImport, type ImportTotals } from './import/import-run.ts'
import { openTarget } from './import/import-target.ts'
import { ProgressLine } from './import/progress-line.ts'
import { openSource, parseSourceLocation, type SourceLocation } from './import/source-location.ts'
import { isComplete, summaryOf } from './import/summary.ts'
import { readSettings, type Environment } from './option-sources.ts'
import { optionSpec } from './options.ts'
import { stopSignal } from './signals.ts'
import { describeStore } from './store-location.ts'
import { UsageError } from './usage-error.ts'

/**
 * Brings the documents of another system into a store. Returns the exit code: 0 when all of them are there now (or could
 * be, in a dry run), 1 when some are not.
 */
export async function importDocuments(args: readonly string[], env: Environment): Promise<number> {
  const request = parseRequest(args, env)
  const { dryRun } = request
  const progress = new ProgressLine(process.stderr, lastingClock)
  const stopping = new AbortController()
  void stopSignal().then(() => stopping.abort())
  const { totals, from } = await run(request, progress, stopping.signal)
  process.stdout.write(
    `${summaryOf(totals, { from, to: describeStore(request.configuration.store), dryRun })}\n`,
  )
  return isComplete(totals) ? 0 : 1
}

async function run(
  request: ImportRequest,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<{ totals: ImportTotals; from: string }> {
  const { prefix, dryRun, verify, merge, dropPending, configuration } = request
  const { store: location, storage, limits, projections } = configuration
  const source = await openSource(request.from, (name) => projections(prefix + name))
  try {
    const subject = { from: source.title, store: describeStore(location), prefix }
    const journal = request.resume === undefined ? undefined : ImportJournal.open(request.resume, subject)
    const store = await openTarget({ store: location, storage, dryRun }, loggerOn(progress))
    try {
      const choices = { dryRun, merge, verify, dropPending }
      const importer = new DocumentImporter({ store, clock: lastingClock, limits, ...choices })
      const run = { source, importer, prefix, journal, dryRun, verify, signal }
      const totals = await runImport({
        ...run,
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
  readonly prefix: string
  readonly resume?: string | undefined
  readonly dryRun: boolean
  readonly verify: boolean
  readonly merge: boolean
  readonly dropPending: boolean
  /** Of a server on the same store. */
  readonly configuration: Configuration
}

function parseRequest(args: readonly string[], env: Environment): ImportRequest {
  const flags = parseOwnFlags(args)
  const text = (flag: string): string | undefined => flags.texts.get(flag)
  const from = text('from')
  if (from === undefined) throw new UsageError('--from is missing: where do the documents come from?')
  const source = parseSource(from)
  if (source.kind === 'json' && flags.switches.has('merge'))
    throw new UsageError(
      '--merge is not for JSON, which has no history to merge: PUT it to the running server, which makes the smallest edits.',
    )
  const resume = text('resume')
  return {
    from: source,
    prefix: text('prefix') ?? '',
    resume: resume === undefined ? undefined : resolve(resume),
    dryRun: flags.switches.has('dry-run'),
    verify: flags.switches.has('verify'),
    merge: flags.switches.has('merge'),
    dropPending: flags.switches.has('drop-pending'),
    configuration: readConfiguration(flags.settings, env),
  }
}

interface OwnFlags {
  readonly texts: ReadonlyMap<string, string>
  readonly switches: ReadonlySet<string>
  /** What is for the settings of the store, as arguments again. */
  readonly settings: readonly string[]
}

function parseOwnFlags(args: readonly string[]): OwnFlags {
  const ofSettings = new Set(importSettings.map((name) => optionSpec(name).flag))
  const options = Object.fromEntries([
    ...importOptions.map(
      ({ flag, value }) => [flag, { type: value === undefined ? 'boolean' : 'string' }] as const,
    ),
    ...[...ofSettings].map((flag) => [flag, { type: 'string', multiple: true }] as const),
  ])
  const { values } = parseFlags(() => parseArgs({ args: [...args], options }))
  const texts = new Map<string, string>()
  const switches = new Set<string>()
  const settings: string[] = []
  for (const [flag, value] of Object.entries(values)) {
    if (Array.isArray(value)) settings.push(...value.map((text) => `--${flag}=${text}`))
    else if (typeof value === 'string') texts.set(flag, value)
    else if (value === true) switches.add(flag)
  }
  return { texts, switches, settings }
}

function readConfiguration(args: readonly string[], env: Environment): Configuration {
  const all = readSettings(args, env)
  // Where a server would listen, and for whom, does not matter here.
  const settings = Object.fromEntries(importSettings.map((name) => [name, all[name]]))
  if (all.store === undefined) throw new UsageError('--store is missing: where do the documents go?')
  const configuration = parseConfiguration(settings)
  if (configuration.store.kind === 'memory')
    throw new UsageError(`${all.store.source}: memory: ends with this program; name a store that lasts.`)
  return configuration
}

function parseSource(text: string): SourceLocation {
  try {
    return parseSourceLocation(text)
  } catch (error) {
    if (error instanceof Expected) throw new UsageError(`--from: ${error.message}`)
    throw error
  }
}

/** What a store has to say goes where the progress is. */
function loggerOn(progress: ProgressLine): Logger {
  const say = (fields: Readonly<Record<string, unknown>>, message: string): void => {
    const details = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`
    progress.interrupt(`polyphony: ${message}${details}`)
  }
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

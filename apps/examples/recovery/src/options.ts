import { parseArgs } from 'node:util'

export const usage = `Usage: pnpm --filter @polyphony/example-recovery start [options]

Kills a server with SIGKILL while people type, starts it again, and counts what a newcomer finds.

  --rounds N       kills (5)
  --authors N      who type at once (6)
  --documents N    pages they are spread over (3)
  --seed N         of the moments of the kills and of what is typed where (drawn, and printed)
  --store STORE    of the server, as "polyphony serve --store" takes it; redis://… and postgres://… too (a temporary level:)
  --no-fsync       the same without waiting for the disk ("level:" only)
  --compare        afterwards the same with a store in memory, and with the server that comes with y-websocket

Exit code: 0 when everything acknowledged survived, 1 when something was lost or is there twice, 2 for wrong options.`

export interface Options {
  readonly rounds: number
  readonly authors: number
  readonly documents: number
  readonly seed: number
  readonly store?: string | undefined
  readonly fsync: boolean
  readonly compare: boolean
}

/** Throws an error with one line that says what is wrong; `undefined` when only the usage was asked for. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--'),
    options: {
      rounds: { type: 'string', default: '5' },
      authors: { type: 'string', default: '6' },
      documents: { type: 'string', default: '3' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      store: { type: 'string' },
      'no-fsync': { type: 'boolean', default: false },
      compare: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const number = (name: 'rounds' | 'authors' | 'documents' | 'seed', min: number, max: number): number => {
    const value = Number(values[name])
    if (/^\d+$/.test(values[name]) && value >= min && value <= max) return value
    throw new Error(`--${name} is a number from ${min} to ${max}, not "${values[name]}".`)
  }
  const options = {
    rounds: number('rounds', 1, 10_000),
    authors: number('authors', 1, 200),
    documents: number('documents', 1, 100),
    seed: number('seed', 0, 2 ** 32),
    store: values.store,
    fsync: !values['no-fsync'],
    compare: values.compare,
  }
  if (!options.fsync && options.store?.startsWith('level:') === false)
    throw new Error('--no-fsync is for "level:" only.')
  return options
}

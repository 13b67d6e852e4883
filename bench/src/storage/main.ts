import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startPostgres, startRedis } from '@polyphony/test-services'
import { quantile } from '../quantile.ts'
import { bytes as inBytes, ms, printTable } from '../translator/table.ts'
import type { AppendFigures, AppendLoad } from './append-load.ts'
import type { LoadFigures, SaveFigures } from './large-load.ts'
import { writeLargeState } from './large-state.ts'
import { ourSubjects, plainStore } from './our-subjects.ts'
import { isHocuspocusInstalled, peerSubjects } from './peer-subjects.ts'
import type { Place } from './subject.ts'
import { runTask } from './task.ts'

const usage = `Usage: node dist/storage/main.js [options]

Stores side by side, each measurement in a process of its own, interleaved: updates of 100 bytes,
and states of 1 KB to 100 MB. Redis and PostgreSQL are started for the run and removed after it.
Hocuspocus' extension is measured if \`pnpm --filter @polyphony/bench bench:storage:peers\` has installed it.
Progress goes to standard error, tables in Markdown to standard output.

  --only     part of the names of the stores, several by comma   (default all)
  --loads    appends, states or both                             (default appends,states)
  --seconds  of each append measurement, a quarter is warm-up    (default 4)
  --repeats  of everything; medians are shown                    (default 3)
  --sizes    of the states in bytes                              (default 1e3,1e5,1e7,1e8)
  --quick    the same as --seconds 1 --repeats 1`

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    loads: { type: 'string', default: 'appends,states' },
    seconds: { type: 'string' },
    repeats: { type: 'string' },
    sizes: { type: 'string', default: '1e3,1e5,1e7,1e8' },
    quick: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const seconds = Number(values.seconds ?? (values.quick ? 1 : 4))
const repeats = Number(values.repeats ?? (values.quick ? 1 : 3))
const wanted = values.only.split(',')
const names = Object.keys({ ...ourSubjects, ...peerSubjects }).filter(
  (name) =>
    wanted.some((part) => name.includes(part)) && (isHocuspocusInstalled() || !name.startsWith('hocuspocus')),
)

const loads: Readonly<Record<string, Omit<AppendLoad, 'seconds'>>> = {
  '1 document, one update at a time': { documents: 1, inFlight: 1 },
  '1 document, 64 in flight': { documents: 1, inFlight: 64 },
  '100 documents, 64 in flight each': { documents: 100, inFlight: 64 },
  '100 documents at 5,000 updates/s, at most 64 in flight each': {
    documents: 100,
    inFlight: 64,
    perSecond: 5_000,
  },
  '100 documents at 30,000 updates/s, at most 64 in flight each': {
    documents: 100,
    inFlight: 64,
    perSecond: 30_000,
  },
}

if (values.help) console.log(usage)
else await run()

async function run(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'polyphony-bench-'))
  const [always, everysec, postgres] = await Promise.all([
    startRedis(),
    startRedis({ settings: { appendfsync: 'everysec' } }),
    startPostgres(),
  ])
  let number = 0
  /** Calls with a place that is gone afterwards. */
  const withPlace = async (use: (place: Place) => Promise<void>): Promise<void> => {
    const directory = await mkdtemp(join(folder, 'place-'))
    const name = `place${++number}`
    await use({
      directory,
      redisUrl: always.url,
      redisEverysecUrl: everysec.url,
      postgresUrl: postgres.url,
      name,
    })
    await rm(directory, { recursive: true })
  }
  try {
    console.log(
      `Node ${process.version}, ${new Date().toISOString()}; ${seconds} s each, median of ${repeats}.`,
    )
    if (values.loads.includes('appends'))
      for (const [title, load] of Object.entries(loads)) await measureAppends(title, load, withPlace)
    if (values.loads.includes('states')) await measureStates(folder, withPlace)
  } finally {
    await Promise.all([always.stop(), everysec.stop(), postgres.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

type WithPlace = (use: (place: Place) => Promise<void>) => Promise<void>

async function measureAppends(
  title: string,
  load: Omit<AppendLoad, 'seconds'>,
  withPlace: WithPlace,
): Promise<void> {
  const figures = new Map<string, (AppendFigures & { readonly cpuRatio: number })[]>()
  for (let repeat = 1; repeat <= repeats; repeat++) {
    let plainCpu = Number.NaN
    for (const name of names) {
      console.error(`${title}, ${repeat} of ${repeats}: ${name}`)
      await withPlace(async (place) => {
        const one = await runTask({ kind: 'append', subject: name, place, load: { ...load, seconds } })
        if (name === plainStore) plainCpu = one.cpuMicrosecondsEach
        const cpuRatio = one.cpuMicrosecondsEach / plainCpu
        figures.set(name, [...(figures.get(name) ?? []), { ...one, cpuRatio }])
      })
    }
  }
  const rows = names.map((name) => {
    const median = medianOf(figures.get(name) ?? [])
    const ratio = name.startsWith(plainStore) ? `${median('cpuRatio').toFixed(2)}×` : ''
    return [
      name,
      median('perSecond').toFixed(0),
      ms(median('p50Ms')),
      ms(median('p99Ms')),
      ms(median('maxMs')),
      median('cpuMicrosecondsEach').toFixed(1),
      ratio,
      median('bytesOnDiskEach').toFixed(0),
    ]
  })
  printTable(
    title,
    ['store', 'updates/s', 'p50 ms', 'p99 ms', 'max ms', 'CPU µs each', 'to plain', 'bytes on disk each'],
    rows,
  )
}

async function measureStates(folder: string, withPlace: WithPlace): Promise<void> {
  for (const bytes of values.sizes.split(',').map(Number)) {
    const file = join(folder, `state-${bytes}`)
    await writeLargeState(file, bytes)
    const figures = new Map<string, (SaveFigures & LoadFigures)[]>()
    for (let repeat = 1; repeat <= repeats; repeat++) {
      for (const name of names) {
        console.error(`state of ${inBytes(bytes)}, ${repeat} of ${repeats}: ${name}`)
        await withPlace(async (place) => {
          const saved = await runTask({ kind: 'save', subject: name, place, file })
          const isLost = name === 'memory'
          const loaded = isLost
            ? { loadMs: Number.NaN, loadMegabytes: Number.NaN, loadOwnMegabytes: Number.NaN }
            : await runTask({ kind: 'load', subject: name, place, bytes })
          figures.set(name, [...(figures.get(name) ?? []), { ...saved, ...loaded }])
        })
      }
    }
    await rm(file)
    const columns = [
      'saveMs',
      'saveMegabytes',
      'otherWaitMs',
      'sameWaitMs',
      'idleWaitMs',
      'loadMs',
      'loadMegabytes',
      'loadOwnMegabytes',
      'megabytesOnDisk',
    ] as const
    const rows = names.map((name) => [
      name,
      ...columns.map((column) => ms(medianOf(figures.get(name) ?? [])(column))),
    ])
    printTable(
      `A state of ${inBytes(bytes)}`,
      [
        'store',
        'save ms',
        'save MB more',
        'append waited, other ms',
        'same ms',
        'without a save ms',
        'load ms',
        'load MB more',
        'of it its own',
        'MB on disk',
      ],
      rows,
    )
  }
}

function medianOf<Figures extends object>(all: readonly Figures[]) {
  return (key: { [Key in keyof Figures]: Figures[Key] extends number ? Key : never }[keyof Figures]) =>
    quantile(
      all.map((one) => Number(one[key])),
      0.5,
    )
}

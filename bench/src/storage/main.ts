import { parseArgs } from 'node:util'
import { quantile } from '../quantile.ts'
import { printTable } from '../translator/table.ts'
import { appendLoad, type AppendFigures, type AppendLoad } from './append-load.ts'
import { checkpointLoad } from './checkpoint-load.ts'
import { subjects } from './subjects.ts'

const usage = `Benchmarks of stores: updates of 100 bytes, each beside the others in one run, interleaved.

  --only      part of the names of what is measured   (default all)
  --repeats   of each row; medians are shown          (default 3)
  --updates   per row                                 (default 60000)
  --sizes     of checkpoints in bytes                 (default 1e3,1e5,1e6,1e7,1e8)
  --rate      updates a second of the paced row       (default 30000)`

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    repeats: { type: 'string', default: '3' },
    updates: { type: 'string', default: '60000' },
    sizes: { type: 'string', default: '1e3,1e5,1e6,1e7,1e8' },
    rate: { type: 'string', default: '30000' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(usage)
else await run()

async function run(): Promise<void> {
  const names = Object.keys(subjects).filter((name) => name.includes(values.only))
  const updates = Number(values.updates)
  const perSecond = Number(values.rate)
  console.log(`Node ${process.version}, ${new Date().toISOString()}`)
  await printAppends('1 document, 64 in flight', names, { documents: 1, inFlight: 64, updates })
  await printAppends('100 documents, 8 in flight each', names, { documents: 100, inFlight: 8, updates })
  const paced = { documents: 100, inFlight: 64, updates, perSecond }
  await printAppends(`100 documents, at ${perSecond} updates/s, at most 64 in flight each`, names, paced)
  await printCheckpoints(names, values.sizes.split(',').map(Number))
}

async function printAppends(title: string, names: readonly string[], load: AppendLoad): Promise<void> {
  const figures = new Map<string, AppendFigures[]>(names.map((name) => [name, []]))
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    for (const name of names) {
      const subject = await subjects[name]?.()
      if (subject === undefined) continue
      figures.get(name)?.push(await appendLoad(subject, load))
      await subject.remove()
    }
  }
  const rows = names.map((name) => {
    const median = (key: keyof AppendFigures) =>
      quantile(figures.get(name)?.map((one) => one[key]) ?? [], 0.5)
    return [
      name,
      median('perSecond').toFixed(0),
      median('p50Ms').toFixed(2),
      median('p99Ms').toFixed(2),
      median('maxMs').toFixed(1),
      median('cpuMicrosecondsEach').toFixed(1),
      median('bytesOnDiskEach').toFixed(0),
    ]
  })
  printTable(
    title,
    ['store', 'updates/s', 'p50 ms', 'p99 ms', 'max ms', 'CPU µs each', 'bytes on disk each'],
    rows,
  )
}

async function printCheckpoints(names: readonly string[], sizes: readonly number[]): Promise<void> {
  const rows: string[][] = []
  for (const size of sizes) {
    for (const name of names) {
      const subject = await subjects[name]?.()
      if (subject === undefined) continue
      const figures = await checkpointLoad(subject, size)
      const onDisk = (await subject.bytesOnDisk()) / 1e6
      await subject.remove()
      if (figures === undefined) continue
      const { writeMs, appendP99Ms, appendMaxMs, readMs, readMegabytes } = figures
      const cells = [writeMs, appendP99Ms, appendMaxMs, readMs, readMegabytes, onDisk].map((value) =>
        value.toFixed(1),
      )
      rows.push([`${size / 1e6} MB`, name, ...cells])
    }
  }
  const header = [
    'state',
    'store',
    'write ms',
    'append p99 ms',
    'append max ms',
    'read ms',
    'read MB more',
    'MB on disk',
  ]
  printTable('Checkpoints, with appends to other documents meanwhile', header, rows)
}

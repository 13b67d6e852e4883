import { parseArgs } from 'node:util'
import { makeRecords } from './documents.ts'
import { benchIn } from './in.ts'
import { benchMemory } from './memory.ts'
import { benchMirror } from './mirror.ts'
import { benchOut } from './out.ts'
import { benchStale } from './stale.ts'
import { bytes, ms, printTable, times } from './table.ts'
import { benchText } from './text.ts'

const usage = `Benchmarks of the translator, each beside the usual way in the same run. Times are medians in milliseconds.

  --sizes     state sizes for changes out and in, e.g. 1KB,100KB,1MB,10MB,100MB   (default 1KB,100KB,1MB,10MB)
  --arrays    lengths for stale patches and mirrors, e.g. 1e3,1e4,1e5,1e6          (default 1e3,1e4,1e5)
  --texts     lengths of texts                                                     (default 1e3,1e5,1e6)
  --only      out,in,text,stale,mirror,memory                                      (default all)
  --naive-max largest state for which the slow ways run, too                       (default 100MB)`

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1KB,100KB,1MB,10MB' },
    arrays: { type: 'string', default: '1e3,1e4,1e5' },
    texts: { type: 'string', default: '1e3,1e5,1e6' },
    only: { type: 'string', default: 'out,in,text,stale,mirror,memory' },
    'naive-max': { type: 'string', default: '100MB' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(usage)
else run()

function run(): void {
  const only = new Set(values.only.split(','))
  const sizes = values.sizes.split(',').map(parseSize)
  const arrays = values.arrays.split(',').map(Number)
  const naiveMax = parseSize(values['naive-max'])
  console.log(`Node ${process.version}, ${new Date().toISOString()}`)
  if (only.has('out')) printOut(sizes, naiveMax)
  if (only.has('in')) printIn(sizes, naiveMax)
  if (only.has('text')) printText(values.texts.split(',').map(Number))
  if (only.has('stale')) printStale(arrays)
  if (only.has('mirror')) printMirror(arrays)
  if (only.has('memory')) printMemory(sizes)
}

function parseSize(text: string): number {
  const match = /^([\d.e]+)(KB|MB)$/.exec(text)
  if (match === null) throw new Error(`A size looks like 100KB or 10MB, not "${text}"`)
  return Number(match[1]) * (match[2] === 'KB' ? 1_000 : 1_000_000)
}

/** Records are about one kilobyte. */
function recordsFor(size: number): number {
  return Math.max(1, Math.round(size / 1_000))
}

function printOut(sizes: readonly number[], naiveMax: number): void {
  const rows = sizes.flatMap((size) =>
    benchOut(makeRecords(recordsFor(size)), size <= naiveMax).map((row) => [
      bytes(size),
      row.change,
      `${ms(row.ours.min)} / ${ms(row.ours.median)} / ${ms(row.ours.max)}`,
      ms(row.naive?.median),
      times(row.ours.median, row.naive?.median),
      bytes(row.ourBytes),
      row.naiveBytes === undefined ? '–' : bytes(row.naiveBytes),
    ]),
  )
  printTable(
    'Changes out: one flush, against toJSON + fast-json-patch.compare',
    ['state', 'change', 'flush min / median / max', 'compare', 'gain', 'patch', 'its patch'],
    rows,
  )
}

function printIn(sizes: readonly number[], naiveMax: number): void {
  const rows = sizes.flatMap((size) =>
    benchIn(makeRecords(recordsFor(size)), size <= naiveMax).map((row) => [
      bytes(size),
      row.patch,
      ms(row.ours.median),
      ms(row.immer?.median),
      times(row.ours.median, row.immer?.median),
      ms(row.reload?.median),
      times(row.ours.median, row.reload?.median),
    ]),
  )
  printTable(
    'A patch in, against immer-yjs and against fast-json-patch.applyPatch + load anew',
    ['state', 'patch', 'apply', 'immer-yjs', 'gain', 'patch + load', 'gain'],
    rows,
  )
}

function printText(lengths: readonly number[]): void {
  const rows = lengths.map((units) => {
    const row = benchText(units)
    return [
      String(units),
      ms(row.whole.median),
      bytes(row.wholeBytes),
      ms(row.lines.median),
      bytes(row.linesBytes),
      ms(row.naive.median),
    ]
  })
  printTable(
    'A keystroke in a text: as one string, as lines, and by comparing the strings',
    ['UTF-16 units', 'string', 'patch', 'lines', 'patch', 'compare'],
    rows,
  )
}

function printStale(arrays: readonly number[]): void {
  const cases = arrays.flatMap((elements) => [10, 200].map((behind) => ({ elements, behind })))
  const rows = cases.map(({ elements, behind }) => {
    const row = benchStale(elements, behind)
    return [
      String(elements),
      String(behind),
      ms(row.first),
      `${ms(row.warm.min)} / ${ms(row.warm.median)} / ${ms(row.warm.max)}`,
      `${ms(row.catchUp.min)} / ${ms(row.catchUp.median)} / ${ms(row.catchUp.max)}`,
    ]
  })
  printTable(
    'A patch of 2 operations that is some changes behind, and the difference since then',
    ['elements', 'behind', 'first', 'warm min / median / max', 'difference min / median / max'],
    rows,
  )
}

function printMirror(arrays: readonly number[]): void {
  const rows = arrays.map((elements) => {
    const row = benchMirror(elements)
    return [
      String(elements),
      ms(row.mirror.median),
      ms(row.copy.median),
      times(row.mirror.median, row.copy.median),
    ]
  })
  printTable(
    'A mirror after one change, against a new projection',
    ['elements', 'mirror', 'toJSON', 'gain'],
    rows,
  )
}

function printMemory(sizes: readonly number[]): void {
  // Below, what the just-in-time compiler keeps is larger than what is to be measured.
  const rows = sizes
    .filter((size) => size >= 10_000_000)
    .map((size) => {
      const row = benchMemory(recordsFor(size))
      return [
        bytes(size),
        bytes(row.doc),
        bytes(row.view),
        `${((100 * row.view) / row.doc).toFixed(1)} %`,
        bytes(row.copy),
      ]
    })
  printTable(
    'Heap: the Y.Doc, what a view adds, and what a copy of the JSON would add',
    ['state', 'Y.Doc', 'view', 'view / Y.Doc', 'JSON copy'],
    rows,
  )
}

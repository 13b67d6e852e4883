import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { JsonView } from '@polyphony/translator'
import { itemAt, makeRecords } from './documents.ts'

export interface MemoryRow {
  readonly records: number
  /** Heap in bytes of the `Y.Doc` alone. */
  readonly doc: number
  /** What a view adds, once it has an index and has flushed and applied changes. */
  readonly view: number
  /** What a second copy of the JSON adds, which comparing projections needs. */
  readonly copy: number
}

/** In a process of its own, with collections of garbage between the readings. */
export function benchMemory(records: number): MemoryRow {
  const output = execFileSync(
    process.execPath,
    ['--expose-gc', '--max-old-space-size=8192', fileURLToPath(import.meta.url), String(records)],
    { encoding: 'utf8' },
  )
  return JSON.parse(output) as MemoryRow
}

function heap(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

function measureMemory(records: number): MemoryRow {
  const empty = heap()
  const doc = makeRecords(records)
  const alone = heap()
  const view = new JsonView(doc)
  for (let i = 0; i < 200; i++) {
    const version = view.version
    itemAt(doc, (i * 7_919) % records).set('title', `changed ${i}`)
    view.diff(version)
    view.apply([{ op: 'replace', path: `/items/${(i * 104_729) % records}/priority`, value: i }], {
      at: version,
    })
  }
  const viewed = heap()
  const copy = doc.getMap('state').toJSON()
  const copied = heap()
  if (Object.keys(copy).length === 0 || view.version === undefined) throw new Error('nothing was measured')
  return { records, doc: alone - empty, view: viewed - alone, copy: copied - viewed }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(JSON.stringify(measureMemory(Number(process.argv[2]))))

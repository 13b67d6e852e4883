// Appends edits one after the other and writes `ack N` to its standard output once edit N is acknowledged.
// Arguments: directory, number of edits, `fsync` or `no-fsync`.
import { writeSync } from 'node:fs'
import { openLevelStore } from '@polyphony/storage-level'
import { numberedUpdate } from '@polyphony/test-services'

const [directory = '', count, fsync] = process.argv.slice(2)
const store = await openLevelStore(directory, { fsync: fsync === 'fsync' })
for (let edit = 1; edit <= Number(count); edit++) {
  const entries = [{ update: numberedUpdate(edit), meta: { author: 'ann', committedAtMs: Date.now() } }]
  const [result] = await store.append([{ documentId: `doc/${edit % 7}`, entries }])
  if (result?.ok !== true) throw result?.error ?? new Error('append gave no result')
  writeSync(1, `ack ${edit}\n`)
}
await store.close()

// Appends to many documents at once until it is killed, and says on its standard output what was acknowledged:
//   ready                                 once the store is open
//   ack DOCUMENT FIRST NUMBER,NUMBER,…    entries from FIRST on are the updates of these numbers
//   checkpoint DOCUMENT REVISION          a checkpoint at REVISION was acknowledged
// Arguments: directory, number of the first update.
import { writeSync } from 'node:fs'
import { openLevelStore } from '@polyphony/storage-level'
import { numberedUpdate } from './numbered-update.mjs'

const [directory = '', firstNumber] = process.argv.slice(2)
const retention = { entries: 40, bytes: 2_000_000, ageMs: 3_600_000 }
const store = await openLevelStore(directory, { retention, writeBufferBytes: 512 << 10 })
let number = Number(firstNumber)
say('ready')
for (let lane = 0; lane < 40; lane++) void run(`doc/${lane % 10}`, lane)

/**
 * @param {string} documentId
 * @param {number} lane
 */
async function run(documentId, lane) {
  for (let round = 1; ; round++) {
    const numbers = Array.from({ length: 1 + ((round + lane) % 4) }, () => number++)
    const entries = numbers.map((one) => ({
      update: numberedUpdate(one),
      meta: { author: `${one}`, committedAtMs: Date.now() },
    }))
    const [result] = await store.append([{ documentId, entries }])
    if (result?.ok !== true) throw result?.error ?? new Error('append gave no result')
    say(`ack ${documentId} ${result.first} ${numbers.join(',')}`)
    if (round % 30 !== 29) continue
    await store.checkpoint(documentId, {
      revision: result.last,
      stateVector: numberedUpdate(1),
      state: state(result.last),
    })
    say(`checkpoint ${documentId} ${result.last}`)
  }
}

/**
 * Made of a large and a small piece, and checkable from its revision.
 *
 * @param {number} revision
 */
async function* state(revision) {
  yield numberedUpdate(revision * 100 + 99)
  yield numberedUpdate(revision * 100)
}

/**
 * Straight to the descriptor: what a line that is out speaks of was acknowledged before.
 *
 * @param {string} line
 */
function say(line) {
  writeSync(1, `${line}\n`)
}

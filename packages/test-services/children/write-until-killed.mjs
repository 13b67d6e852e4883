// Opens a store and appends to many documents at once until it is killed. Says on its standard output what it was told:
//   ready                                 once the store is open
//   ack DOCUMENT FIRST NUMBER,NUMBER,…    entries from FIRST on are the updates of these numbers
//   checkpoint DOCUMENT REVISION          a checkpoint at REVISION was acknowledged
// Arguments: URL of the module, name of its function that opens a store, address, options as JSON, number of the first
// update.
import { writeSync } from 'node:fs'
import { numberedState, numberedUpdate } from '@polyphony/test-services'

const [module = '', open = '', address = '', options = '{}', firstNumber] = process.argv.slice(2)
const store = await (await import(module))[open](address, JSON.parse(options))
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

/** @param {number} revision */
async function* state(revision) {
  yield* numberedState(revision)
}

/**
 * Straight to the descriptor: what a line that is out speaks of was acknowledged before.
 *
 * @param {string} line
 */
function say(line) {
  writeSync(1, `${line}\n`)
}

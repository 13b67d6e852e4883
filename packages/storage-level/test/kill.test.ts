import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { isCheckpoint, type DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import { eventually, joinChunks } from '@polyphony/storage/testing'
import { Level } from 'level'
import { beforeAll, expect, it } from 'vitest'
import { buildPackage, childScript } from './support/build.ts'
import { findLeftovers } from './support/leftovers.ts'
import { withTemporaryDirectory } from './support/temporary-directory.ts'
import { numberedUpdate } from './children/numbered-update.mjs'

const rounds = process.env['POLYPHONY_SOAK'] === '1' ? 200 : 5

beforeAll(buildPackage)

/** What a child said it was told, over all rounds. */
interface Promised {
  /** By document: the number of the update at each acknowledged revision. */
  readonly updates: Map<string, Map<number, number>>
  readonly checkpoints: Map<string, number>
}

it(
  `kill -9 at random moments under load, ${rounds} rounds: every acknowledged entry is there, in its place, byte for byte`,
  { timeout: rounds * 20_000 },
  async () => {
    await withTemporaryDirectory(async (directory) => {
      const promised: Promised = { updates: new Map(), checkpoints: new Map() }
      let acknowledged = 0
      for (let round = 1; round <= rounds; round++) {
        // A quarter of the rounds hits the opening, where what the last crash left is taken up.
        const delayMs = Math.random() * (round % 4 === 0 ? 30 : 500)
        acknowledged += await runAndKill(directory, round, delayMs, promised)
        await verify(directory, promised)
      }
      expect(acknowledged).toBeGreaterThan(rounds * 20)
      const level = new Level<unknown, unknown>(directory)
      const store = await openLevelStore(level)
      await eventually(
        async () => (await findLeftovers(level)).length === 0,
        'what no document refers to is removed',
      )
      await store.close()
    })
  },
)

/** Returns the number of acknowledged entries. */
async function runAndKill(
  directory: string,
  round: number,
  delayMs: number,
  promised: Promised,
): Promise<number> {
  const firstNumber = round * 1_000_000
  const child = spawn(process.execPath, [childScript('append-load.mjs'), directory, `${firstNumber}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  let acknowledged = 0
  const exit = new Promise<NodeJS.Signals | number | null>((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? code))
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, documentId = '', place = '', numbers = ''] = line.split(' ')
    if (word === 'ready') setTimeout(() => child.kill('SIGKILL'), delayMs)
    if (word === 'checkpoint')
      promised.checkpoints.set(documentId, Math.max(Number(place), promised.checkpoints.get(documentId) ?? 0))
    if (word !== 'ack') continue
    const updates = promised.updates.get(documentId) ?? new Map<number, number>()
    promised.updates.set(documentId, updates)
    for (const [index, number] of numbers.split(',').entries()) {
      updates.set(Number(place) + index, Number(number))
      acknowledged++
    }
  }
  expect(await exit, errors).toBe('SIGKILL')
  return acknowledged
}

async function verify(directory: string, promised: Promised): Promise<void> {
  const store = await openLevelStore(directory)
  try {
    for (const [documentId, updates] of promised.updates) {
      const head = await store.head(documentId)
      const lastPromised = [...updates.keys()].reduce((last, revision) => Math.max(last, revision), 0)
      expect(head?.revision, `head of ${documentId}`).toBeGreaterThanOrEqual(lastPromised)
      await verifyDocument(store, documentId, updates, promised.checkpoints.get(documentId) ?? 0)
    }
  } finally {
    await store.close()
  }
}

async function verifyDocument(
  store: DocumentStore,
  documentId: string,
  updates: ReadonlyMap<number, number>,
  checkpointed: number,
): Promise<void> {
  let revision = 0
  for await (const item of store.read(documentId)) {
    if (isCheckpoint(item)) {
      const state = Buffer.concat([
        numberedUpdate(item.revision * 100 + 99),
        numberedUpdate(item.revision * 100),
      ])
      expect(Buffer.compare(await joinChunks(item.state), state), `checkpoint of ${documentId}`).toBe(0)
      expect(item.revision).toBeGreaterThanOrEqual(checkpointed)
    } else {
      expect(item.revision, `revisions of ${documentId} are contiguous`).toBe(revision + 1)
      // One that was not acknowledged may be there, but then it is whole.
      const number = updates.get(item.revision) ?? Number(item.meta.author)
      expect(Buffer.compare(item.update, numberedUpdate(number)), `${documentId} at ${item.revision}`).toBe(0)
    }
    revision = item.revision
  }
}

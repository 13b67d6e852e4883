import { toPolyphonyError } from '@polyphony/core'
import type { DocumentStore } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import {
  appendTo,
  contractTests,
  readAll,
  runContractTest,
  sampleBytes,
  sampleCheckpoint,
  sampleEntry,
  type StoreHarness,
} from '@polyphony/storage/testing'

/** What runs inside of the browser. Tests reach it as `globalThis.page`, with JSON in and out. */
export interface StorePage {
  /** One test of the contract suite: what is wrong with the store, or `undefined`. */
  runContractTest(id: string, runs: number): Promise<string | undefined>
  open(name: string): Promise<void>
  close(): Promise<void>
  /** Appends updates numbered `from` to `to`, all at once, each in a call of its own; reports each that is stored. */
  append(documentId: string, from: number, to: number, bytes: number): Promise<void>
  /** A checkpoint of so many bytes. */
  checkpoint(documentId: string, revision: number, bytes: number): Promise<void>
  /** Revision and number of each entry above the checkpoint; throws unless each has the bytes of its number. */
  read(
    documentId: string,
  ): Promise<{ checkpointBytes: number; entries: [revision: number, number: number][] }>
  incarnation(documentId: string): Promise<string | undefined>
  /** How a call ends: an error's code and message and what else it says, or `undefined` when it works. */
  failureOf<Name extends 'open' | 'append' | 'checkpoint'>(
    name: Name,
    ...args: Parameters<StorePage[Name]>
  ): Promise<{ code: string; message: string; extra: unknown } | undefined>
}

declare global {
  var page: StorePage
  /** Bound by the test: hears of every stored entry, also when the browser is killed right after. */
  var acknowledged: ((documentId: string, revision: number, number: number) => Promise<void>) | undefined
}

let opened: DocumentStore | undefined
let places = 0

const harness: StoreHarness = {
  createPlace: async () => {
    const name = `place ${++places}`
    return {
      open: ({ retention } = {}) => openLevelStore(name, { retention }),
      remove: async () => {
        indexedDB.deleteDatabase(`level-js-${name}`)
      },
    }
  },
}

globalThis.page = {
  runContractTest: async (id, runs) => {
    const test = contractTests.find((one) => one.id === id)
    if (test === undefined) throw new Error(`There is no test ${id}`)
    return await runContractTest(test, harness, { runs }).then(() => undefined, String)
  },
  open: async (name) => {
    opened = await openLevelStore(name)
  },
  close: async () => {
    await opened?.close()
    opened = undefined
  },
  append: async (documentId, from, to, bytes) => {
    const appends = Array.from({ length: to - from + 1 }, async (_, index) => {
      const number = from + index
      const entry = sampleEntry(sampleBytes(bytes, number), { author: `${number}` })
      const { first } = await appendTo(store(), documentId, [entry])
      await globalThis.acknowledged?.(documentId, first, number)
    })
    await Promise.all(appends)
  },
  checkpoint: (documentId, revision, bytes) =>
    store().checkpoint(documentId, sampleCheckpoint(revision, sampleBytes(bytes, revision))),
  read: async (documentId) => {
    const { checkpoint, entries } = await readAll(store(), documentId)
    const numbers = entries.map(({ revision, update, meta }): [number, number] => {
      const number = Number(meta.author)
      const expected = sampleBytes(update.length, number)
      if (update.some((byte, at) => byte !== expected[at]))
        throw new Error(`entry ${revision} is not what it was`)
      return [revision, number]
    })
    return { checkpointBytes: checkpoint?.state.length ?? 0, entries: numbers }
  },
  incarnation: async (documentId) => (await store().head(documentId))?.incarnation,
  failureOf: async (name, ...args) => {
    const call = globalThis.page[name] as (...args: unknown[]) => Promise<void>
    try {
      await call(...args)
      return undefined
    } catch (error) {
      const { code, message, details } = toPolyphonyError(error)
      return { code, message, extra: details.extra }
    }
  },
}

function store(): DocumentStore {
  if (opened === undefined) throw new Error('no store is open')
  return opened
}

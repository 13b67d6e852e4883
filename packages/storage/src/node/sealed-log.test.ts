import { isPolyphonyError } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  MemoryStore,
  SharedMemoryStore,
  type DocumentStore,
  type LogEntry,
  type ReadRange,
} from '../index.ts'
import { appendTo, readAll, sampleBytes, sampleCheckpoint, sampleEntry } from '../testing/index.ts'
import { TamperedStore } from '../../test/support/tampered-store.ts'
import { encrypted, generateKeyLine, parseKeyRing } from './index.ts'
import { kindOf, valueKind } from './value-kind.ts'

const ring = parseKeyRing(generateKeyLine('k1'))
const retention = { entries: 0, bytes: 0, ageMs: 0 }

function open(): { plain: MemoryStore; tampered: TamperedStore; store: DocumentStore } {
  const plain = new MemoryStore({ retention })
  const tampered = new TamperedStore(plain)
  return { plain, tampered, store: encrypted(tampered, ring) }
}

/** One append of entries with updates of these lengths. */
function appendSizes(store: DocumentStore, documentId: string, sizes: readonly number[], seed = 1) {
  const entries = sizes.map((size, at) =>
    sampleEntry(sampleBytes(size, seed * 1000 + at), { author: `author ${at}`, committedAtMs: at }),
  )
  return appendTo(store, documentId, entries)
}

/** What a read gives, or the code that it fails with. */
async function outcome(store: DocumentStore, range?: ReadRange): Promise<unknown> {
  try {
    const { checkpoint, entries } = await readAll(store, 'doc', range)
    return { state: checkpoint?.state, at: checkpoint?.revision, entries }
  } catch (error) {
    return isPolyphonyError(error) ? error.code : error
  }
}

describe('encrypted: small entries of one append are sealed together', () => {
  it('in one value, with nothing but a mark in place of the others', async () => {
    const { plain, store } = open()
    await appendSizes(store, 'doc', [100, 100, 100, 2000, 50, 50])
    const { entries } = await readAll(plain, 'doc')
    const { sealedMember, sealedGroup, sealedEntry } = valueKind
    const kinds = [sealedMember, sealedMember, sealedGroup, sealedEntry, sealedMember, sealedGroup]
    expect(entries.map(({ update }) => kindOf(update))).toEqual(kinds)
    expect(entries[0]?.update.length).toBe(5)
  })

  it('more of them than a group takes', async () => {
    const { plain, store } = open()
    await appendSizes(store, 'doc', Array<number>(600).fill(30))
    const stored = (await readAll(plain, 'doc')).entries
    expect(stored.filter(({ update }) => kindOf(update) === valueKind.sealedGroup).length).toBe(3)
    expect((await readAll(store, 'doc')).entries.length).toBe(600)
  })

  it('every range reads as it would without encryption, checkpoints and retention in the middle included', async () => {
    const appends = fc.array(fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 4,
    })
    const property = fc.asyncProperty(appends, fc.nat(), async (batches, place) => {
      const keep = { entries: place % 4, bytes: 0, ageMs: 0 }
      const bare = new MemoryStore({ retention: keep })
      const store = encrypted(new MemoryStore({ retention: keep }), ring)
      const head = batches.flat().length
      const covered = place % (head + 1)
      for (const one of [bare, store]) {
        for (const [seed, sizes] of batches.entries()) await appendSizes(one, 'doc', sizes, seed)
        if (covered > 0) await one.checkpoint('doc', sampleCheckpoint(covered, sampleBytes(50)))
      }
      for (let after = -1; after <= head; after++)
        for (let upTo = -1; upTo <= head; upTo++) {
          const range = { ...(after < 0 ? {} : { after }), ...(upTo < 0 ? {} : { upTo }) }
          expect(await outcome(store, range)).toEqual(await outcome(bare, range))
        }
    })
    await fc.assert(property, { seed: 4211, numRuns: 40 })
  })

  it('a subscription from anywhere hears the entries as they are, one value at a time', async () => {
    const inner = new SharedMemoryStore()
    const store = encrypted(inner, ring)
    await appendSizes(store, 'doc', [10, 20, 30, 40])
    for (let after = 0; after < 4; after++) {
      const heard: LogEntry[] = []
      let arrived = (): void => undefined
      const all = new Promise<void>((resolve) => {
        arrived = resolve
      })
      const stop = await store.subscribe?.('doc', after, (entries) => {
        heard.push(...entries)
        if (heard.at(-1)?.revision === 4) arrived()
      })
      await all
      await stop?.()
      expect(heard).toEqual((await readAll(store, 'doc')).entries.slice(after))
    }
    await store.close()
  })
})

describe('encrypted: whoever changes a group gets an error or what was written, never anything else', () => {
  it('any flipped bit of any value', async () => {
    const { plain, tampered, store } = open()
    await appendSizes(store, 'doc', [10, 20, 30])
    const written = await outcome(store)
    const stored = (await readAll(plain, 'doc')).entries
    for (const [at, { update }] of stored.entries())
      for (let bit = 0; bit < update.length * 8; bit++) {
        const changed = update.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        tampered.tamperEntries((entry) => (entry.revision === at + 1 ? { ...entry, update: changed } : entry))
        expect(await outcome(store), `value ${at + 1}, bit ${bit}`).toEqual(
          expect.stringMatching(/^store-(corrupt|misconfigured)$/),
        )
      }
    tampered.tamperEntries((entry) => entry)
    expect(await outcome(store)).toEqual(written)
  })

  it('any value in place of any other: of the same log, another document, or an earlier life', async () => {
    const { plain, tampered, store } = open()
    await appendSizes(store, 'doc', [10, 20, 30, 10], 7)
    const earlier = (await readAll(plain, 'doc')).entries
    await store.delete('doc')
    await store.create('doc')
    for (const documentId of ['doc', 'other']) {
      await appendSizes(store, documentId, [11, 21, 31], 1)
      await appendSizes(store, documentId, [41], 2)
      await appendSizes(store, documentId, [51, 61], 3)
    }
    const stored = (await readAll(plain, 'doc')).entries
    const foreign = (await readAll(plain, 'other')).entries
    const written = await outcome(store)
    let refusals = 0
    const values = fc.constantFrom(...[...stored, ...foreign, ...earlier].map(({ update }) => update))
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 6 }), values), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 5 }),
      async (changes, after) => {
        const changed = new Map(changes)
        tampered.tamperEntries((entry) => ({ ...entry, update: changed.get(entry.revision) ?? entry.update }))
        const found = await outcome(store, { after })
        if (found === 'store-corrupt') refusals++
        else expect(found).toEqual({ ...(written as object), entries: (await untouched()).slice(after) })
      },
    )
    const untouched = async () => (written as { entries: readonly LogEntry[] }).entries
    await fc.assert(property, { seed: 4212, numRuns: 400 })
    expect(refusals).toBeGreaterThan(100)
  })

  it('one whose end is cut off', async () => {
    const { plain, store } = open()
    await appendSizes(store, 'doc', [10, 20, 30])
    const { entries } = await readAll(plain, 'doc')
    const cut = new MemoryStore()
    await appendTo(cut, 'doc', entries.slice(0, 2))
    await expect(readAll(encrypted(cut, ring), 'doc')).rejects.toMatchObject({
      code: 'store-corrupt',
      message: expect.stringContaining('entry 1'),
    })
  })
})

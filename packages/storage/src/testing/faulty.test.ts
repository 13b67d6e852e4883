import { isPolyphonyError } from '@polyphony/core'
import { describe, expect, it } from 'vitest'
import { MemoryStore, type Append, type DocumentStore } from '../index.ts'
import {
  contractTests,
  defineContractTests,
  faultAt,
  faulty,
  readTexts,
  sampleEntry,
  seededFaults,
  type Fault,
} from './index.ts'

const ids = ['a', 'b', 'c']

/** Writes ten rounds to three documents, trying what fails again, byte for byte; gives what was acknowledged. */
async function writeAll(store: DocumentStore): Promise<Map<string, Map<number, string>>> {
  const acknowledged = new Map(ids.map((id) => [id, new Map<number, string>()]))
  for (let round = 0; round < 10; round++) {
    let open: Append[] = ids.map((documentId) => ({
      documentId,
      entries: [sampleEntry(`${documentId}${round}`)],
    }))
    while (open.length > 0) {
      try {
        const results = await store.append(open)
        open = open.filter(({ documentId }, index) => {
          const result = results[index]
          if (result?.ok !== true) return true
          acknowledged.get(documentId)?.set(result.first, `${documentId}${round}`)
          return false
        })
      } catch (error) {
        if (!isPolyphonyError(error) || error.code !== 'store-failed') throw error
      }
    }
    await store.head('a').catch(() => undefined)
  }
  return acknowledged
}

async function expectKept(
  store: DocumentStore,
  acknowledged: ReadonlyMap<string, ReadonlyMap<number, string>>,
): Promise<void> {
  for (const [documentId, entries] of acknowledged) {
    const texts = await readTexts(store, documentId)
    for (const [revision, text] of entries) expect(texts[revision - 1]).toBe(text)
    // What was not acknowledged at first may be there twice, but in order and never in part.
    expect([...new Set(texts)]).toEqual([...entries.values()])
  }
}

describe('faulty without faults keeps the contract', () =>
  defineContractTests(
    { test: it, skip: it.skip },
    {
      createPlace: async () => ({
        open: async ({ retention } = {}) => faulty(new MemoryStore({ retention }), () => undefined),
        remove: async () => undefined,
      }),
    },
    contractTests,
    { runs: 3 },
  ))

describe('whichever call goes wrong, retries bring everything in', async () => {
  const counting = faulty(new MemoryStore(), () => undefined)
  await writeAll(counting)
  for (const fault of ['fail', 'tear'] satisfies Fault[]) {
    it(`${fault}, each of ${counting.calls} calls`, async () => {
      for (let number = 1; number <= counting.calls; number++) {
        const inner = new MemoryStore()
        const store = faulty(inner, faultAt(number, fault))
        await expectKept(inner, await writeAll(store))
        expect(store.faults).toBe(1)
      }
    })
  }

  it('at random, often', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const inner = new MemoryStore()
      const store = faulty(inner, seededFaults(seed, { probability: 0.5 }))
      await expectKept(inner, await writeAll(store))
      expect(store.faults).toBeGreaterThan(5)
    }
  })
})

it('a tear writes in part, and says so of nothing', async () => {
  const inner = new MemoryStore()
  const store = faulty(inner, faultAt(1, 'tear'))
  const results = await store.append(ids.map((documentId) => ({ documentId, entries: [sampleEntry('x')] })))
  expect(results.map(({ ok }) => ok)).toEqual([false, false, false])
  expect((await Promise.all(ids.map((id) => inner.head(id)))).map((head) => head?.revision)).toEqual([
    1,
    undefined,
    1,
  ])
})

it('a hanging call settles when it is released, having done nothing', async () => {
  const inner = new MemoryStore()
  const store = faulty(inner, faultAt(1, 'hang'))
  const call = store.append([{ documentId: 'a', entries: [sampleEntry('x')] }])
  let settled = false
  const watched = call.catch((error: unknown) => error).finally(() => (settled = true))
  // Other calls are answered meanwhile.
  expect(await store.head('a')).toBeUndefined()
  expect([settled, store.hanging]).toEqual([false, 1])
  store.release()
  expect(await watched).toMatchObject({ code: 'store-failed' })
  expect(await inner.head('a')).toBeUndefined()
})

it('the same seed plans the same faults', () => {
  const plan = (seed: number) => {
    const decide = seededFaults(seed, { probability: 0.3 })
    return Array.from({ length: 100 }, (_, index) => decide({ operation: 'append', number: index + 1 }))
  }
  expect(plan(5)).toEqual(plan(5))
  expect(plan(5)).not.toEqual(plan(6))
  expect(new Set(plan(5))).toEqual(new Set([undefined, 'fail', 'tear']))
})

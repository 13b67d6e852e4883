import { PolyphonyError } from '@polyphony/core'
import { expect, it } from 'vitest'
import { MemoryStore, sharded, StoreWrapper, type AppendResult } from './index.ts'
import { collect, sampleEntries } from './testing/index.ts'

const ids = Array.from({ length: 3000 }, (_, index) => `workspace-${index % 7}/document-${index}`)

async function placed(names: readonly string[]): Promise<Map<string, string>> {
  const stores = Object.fromEntries(names.map((name) => [name, new MemoryStore()]))
  const store = sharded(stores)
  await store.append(ids.map((documentId) => ({ documentId, entries: sampleEntries(1) })))
  const places = new Map<string, string>()
  for (const [name, shard] of Object.entries(stores))
    for (const { documentId } of await collect(shard.list())) places.set(documentId, name)
  return places
}

it('sharded: spreads documents evenly, by the names of the stores and not their order', async () => {
  const places = await placed(['a', 'b', 'c', 'd'])
  for (const name of ['a', 'b', 'c', 'd']) {
    const share = [...places.values()].filter((place) => place === name).length / ids.length
    expect(share, name).toBeGreaterThan(0.22)
    expect(share, name).toBeLessThan(0.28)
  }
  expect(await placed(['d', 'c', 'b', 'a'])).toEqual(places)
})

it('sharded: one store more takes only what becomes its own', async () => {
  const before = await placed(['a', 'b', 'c'])
  const after = await placed(['a', 'b', 'c', 'd'])
  for (const id of ids) if (after.get(id) !== 'd') expect(after.get(id)).toBe(before.get(id))
  const moved = ids.filter((id) => after.get(id) === 'd').length
  expect(moved / ids.length).toBeGreaterThan(0.2)
})

it('sharded: a store that fails fails its own documents only', async () => {
  class FailingStore extends StoreWrapper {
    override append(): Promise<readonly AppendResult[]> {
      return Promise.reject(new PolyphonyError('store-failed', 'made for the test'))
    }
  }
  const store = sharded({ good: new MemoryStore(), bad: new FailingStore(new MemoryStore(), 'failing') })
  const results = await store.append(ids.map((documentId) => ({ documentId, entries: sampleEntries(1) })))
  const failed = results.filter((result) => !result.ok)
  expect(failed.length).toBeGreaterThan(1000)
  expect(failed.length).toBeLessThan(2000)
  for (const result of failed) expect(result).toMatchObject({ error: { code: 'store-failed' } })
  expect((await collect(store.list())).length).toBe(ids.length - failed.length)
})

it('sharded: survives what the weakest store survives, and needs at least one', () => {
  expect(() => sharded({})).toThrow(TypeError)
  expect(sharded({ a: new MemoryStore() }).capabilities.survives.processKill).toBe(false)
})

import type { ContractTest } from './contract.ts'
import { expectCode, expectEqual, expectRejection, expectTrue } from './expectations.ts'
import {
  appendTo,
  collect,
  readAll,
  readTexts,
  sampleBytes,
  sampleCheckpoint,
  sampleEntries,
  sampleEntry,
} from './samples.ts'

export const lifecycleTests: readonly ContractTest[] = [
  {
    id: 'capabilities',
    title: 'capabilities: named, constant, and true about `subscribe`',
    async run({ open }) {
      const store = await open()
      const { capabilities } = store
      expectTrue(capabilities.name.length > 0, 'there is a name')
      expectEqual(
        store.subscribe !== undefined,
        capabilities.shared,
        'subscribe exists on shared stores only',
      )
      await appendTo(store, 'doc', sampleEntries(1))
      expectEqual(store.capabilities, capabilities, 'capabilities later on')
    },
  },
  {
    id: 'close',
    title: 'close: afterwards every method rejects with `store-closed`; closing twice is harmless',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(1))
      await Promise.all([store.close(), store.close()])
      await store.close()
      const calls: [string, () => Promise<unknown>][] = [
        ['append', () => store.append([{ documentId: 'doc', entries: sampleEntries(1) }])],
        ['read', () => collect(store.read('doc'))],
        ['checkpoint', () => store.checkpoint('doc', sampleCheckpoint(1, sampleBytes(1)))],
        ['head', () => store.head('doc')],
        ['list', () => collect(store.list())],
        ['create', () => store.create('new')],
        ['delete', () => store.delete('doc')],
      ]
      if (store.subscribe !== undefined) {
        const subscribe = store.subscribe.bind(store)
        calls.push(['subscribe', () => subscribe('doc', 0, () => undefined)])
      }
      for (const [name, call] of calls) await expectRejection(call(), 'store-closed', name)
    },
  },
  {
    id: 'close-settles',
    title: 'close: what is under way settles: written, or refused with `store-closed`',
    async run({ open }) {
      const store = await open()
      await store.create('doc')
      const calls = Array.from({ length: 50 }, (_, index) =>
        appendTo(store, 'doc', sampleEntries(1, `${index}:`)),
      )
      const large = appendTo(store, 'large', [sampleEntry(sampleBytes(2_000_000))])
      const checkpointed = store.checkpoint('doc', sampleCheckpoint(1, sampleBytes(2_000_000)))
      const outcomes = Promise.allSettled([...calls, large, checkpointed])
      await store.close()
      let settled = false
      const all = await Promise.race([
        outcomes.then((list) => {
          settled = true
          return list
        }),
        new Promise<PromiseSettledResult<unknown>[]>((resolve) => setTimeout(() => resolve([]), 10_000)),
      ])
      expectTrue(settled, 'everything under way settles')
      for (const outcome of all)
        if (outcome.status === 'rejected')
          expectCode(outcome.reason, ['store-closed', 'precondition-failed'], 'an unfinished call')
    },
  },
  {
    id: 'close-readers',
    title: 'close: a read or list under way ends or rejects with `store-closed`, but does not hang',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(500))
      for (let index = 0; index < 20; index++) await store.create(`other${index}`)
      const reading = store.read('doc')[Symbol.asyncIterator]()
      const listing = store.list()[Symbol.asyncIterator]()
      expectEqual((await reading.next()).done, false, 'the read has begun')
      expectEqual((await listing.next()).done, false, 'the list has begun')
      await store.close()
      for (const iterator of [reading, listing]) {
        let failure: unknown
        try {
          while ((await iterator.next()).done !== true) continue
        } catch (error) {
          failure = error
        }
        if (failure !== undefined) expectCode(failure, 'store-closed', 'after close')
      }
    },
  },
  {
    id: 'restart',
    title: 'restart: everything is there again, in the same incarnation, and goes on',
    needs: 'restart',
    async run({ open }) {
      const first = await open()
      const { incarnation } = await appendTo(first, 'doc', [
        ...sampleEntries(3),
        sampleEntry(sampleBytes(600_000)),
      ])
      await first.checkpoint('doc', sampleCheckpoint(2, sampleBytes(600_000, 2)))
      await appendTo(first, 'deleted', sampleEntries(3))
      await first.delete('deleted')
      await first.create('empty')
      const documents = await collect(first.list({ deleted: true }))
      const before = await readAll(first, 'doc')
      await first.close()

      const second = await open()
      expectEqual(await collect(second.list({ deleted: true })), documents, 'documents')
      expectEqual(await readAll(second, 'doc'), before, 'the document')
      expectEqual(await readTexts(second, 'deleted'), [], 'the deleted one')
      const next = await appendTo(second, 'doc', sampleEntries(1), { incarnation, expect: 4 })
      expectEqual(next.first, 5, 'the next revision')
      const third = await appendTo(second, 'empty', sampleEntries(1))
      expectEqual(third.first, 1, 'the first entry of the empty one')
      expectEqual((await second.head('doc'))?.revision, 5, 'head')
    },
  },
  {
    id: 'restart-retention',
    title: 'restart: a checkpoint made after it covers entries written before it',
    needs: 'restart',
    async run({ open }) {
      const first = await open()
      await appendTo(first, 'doc', sampleEntries(40))
      await first.close()
      const second = await open({ retention: { entries: 0, bytes: 0, ageMs: 0 } })
      await second.checkpoint('doc', sampleCheckpoint(40, sampleBytes(100)))
      await appendTo(second, 'doc', sampleEntries(2, 'new'))
      await second.close()
      const third = await open()
      const { checkpoint, entries } = await readAll(third, 'doc')
      expectEqual([checkpoint?.revision, entries.length], [40, 2], 'what is read')
    },
  },
]

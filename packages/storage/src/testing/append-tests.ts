import type { ContractTest } from './contract.ts'
import { expectCode, expectEqual, expectTrue, expectTypeError } from './expectations.ts'
import {
  appendTo,
  readAll,
  readTexts,
  refusedAppend,
  sampleBytes,
  sampleEntries,
  sampleEntry,
  sampleMeta,
} from './samples.ts'

export const appendTests: readonly ContractTest[] = [
  {
    id: 'append-consecutive',
    title: 'append: revisions are consecutive from 1, over calls and within one',
    async run({ open }) {
      const store = await open()
      const one = await appendTo(store, 'doc', sampleEntries(1))
      const two = await appendTo(store, 'doc', sampleEntries(3))
      expectEqual([one.first, one.last, two.first, two.last], [1, 1, 2, 4], 'positions')
      expectEqual(one.incarnation, two.incarnation, 'incarnation')
      expectEqual((await store.head('doc'))?.revision, 4, 'head')
    },
  },
  {
    id: 'append-round-trip',
    title: 'append: update and every member of meta come back as they were',
    async run({ open }) {
      const store = await open()
      const entries = [
        sampleEntry(new Uint8Array(0)),
        sampleEntry(
          Uint8Array.from({ length: 256 }, (_, byte) => byte),
          {
            author: 'Zoë "quoted" \\ 日本 👩‍💻 ',
            runId: 'run-1',
            appendId: 'ab12',
            idempotencyKey: 'key \u2028 x',
            committedAtMs: 1_795_000_000_123,
          },
        ),
        sampleEntry(sampleBytes(1000), { runId: undefined }),
      ]
      await appendTo(store, 'doc', entries)
      const read = await readAll(store, 'doc')
      expectEqual(
        read.entries,
        entries.map((entry, index) => ({ ...entry, revision: index + 1 })),
        'entries',
      )
    },
  },
  {
    id: 'append-batch-independent',
    title: 'append: documents of a batch succeed or fail each by itself, results in the order of the batch',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'a', sampleEntries(2))
      await store.create('gone')
      await store.delete('gone')
      const results = await store.append([
        { documentId: 'a', entries: sampleEntries(1), expect: 7 },
        { documentId: 'b', entries: sampleEntries(2) },
        { documentId: 'gone', entries: sampleEntries(1) },
        { documentId: 'c', entries: sampleEntries(1), incarnation: 'other' },
        { documentId: 'd', entries: sampleEntries(1), expect: 0 },
      ])
      const codes = results.map((result) => (result.ok ? [result.first, result.last] : result.error.code))
      expectEqual(
        codes,
        ['precondition-failed', [1, 2], 'document-deleted', 'incarnation-mismatch', [1, 1]],
        'results',
      )
      expectEqual((await store.head('a'))?.revision, 2, 'a refused document keeps its head')
      expectEqual(await store.head('c'), undefined, 'a refused document does not come into being')
    },
  },
  {
    id: 'append-all-or-none',
    title: 'append: of a refused document not one entry is written',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(1, 'kept'))
      const tooMuch = sampleEntry('late', { author: 'x'.repeat(5000) })
      const error = await refusedAppend(store, { documentId: 'doc', entries: [...sampleEntries(3), tooMuch] })
      expectCode(error, 'invalid-value', 'meta beyond its limit')
      expectEqual(await readTexts(store, 'doc'), ['kept1'], 'entries')
    },
  },
  {
    id: 'append-expect',
    title: 'append: `expect` is compare-and-set on the head',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(1), { expect: 0 })
      for (const expect of [0, 2]) {
        const error = await refusedAppend(store, { documentId: 'doc', entries: sampleEntries(1), expect })
        expectCode(error, 'precondition-failed', `expect ${expect} at head 1`)
      }
      expectEqual(
        (await appendTo(store, 'doc', sampleEntries(1), { expect: 1 })).last,
        2,
        'expect 1 at head 1',
      )
    },
  },
  {
    id: 'append-expect-race',
    title: 'append: of many that expect the same head at once, exactly one wins',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(1))
      const racers = Array.from({ length: 20 }, (_, index) =>
        store.append([{ documentId: 'doc', entries: [sampleEntry(`racer${index}`)], expect: 1 }]),
      )
      const results = (await Promise.all(racers)).flat()
      expectEqual(results.filter(({ ok }) => ok).length, 1, 'winners')
      for (const result of results) if (!result.ok) expectCode(result.error, 'precondition-failed', 'loser')
      expectEqual((await store.head('doc'))?.revision, 2, 'head')
    },
  },
  {
    id: 'append-incarnation',
    title: 'append: `incarnation` ties an append to one life of the document',
    async run({ open }) {
      const store = await open()
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(1))
      expectEqual((await appendTo(store, 'doc', sampleEntries(1), { incarnation })).last, 2, 'the right one')
      const append = { documentId: 'doc', entries: sampleEntries(1), incarnation: `${incarnation}0` }
      expectCode(await refusedAppend(store, append), 'incarnation-mismatch', 'another one')
    },
  },
  {
    id: 'append-misuse',
    title: 'append: a document twice in a batch, no entries, or a senseless `expect` is a TypeError',
    async run({ open }) {
      const store = await open()
      const append = { documentId: 'doc', entries: sampleEntries(1) }
      await expectTypeError(store.append([append, append]), 'twice')
      await expectTypeError(store.append([{ documentId: 'doc', entries: [] }]), 'no entries')
      await expectTypeError(store.append([{ ...append, expect: -1 }]), 'expect -1')
      await expectTypeError(store.append([{ ...append, expect: 0.5 }]), 'expect 0.5')
      expectEqual(await store.append([]), [], 'an empty batch')
      expectEqual(await store.head('doc'), undefined, 'head')
    },
  },
  {
    id: 'append-invalid-id',
    title: 'append: an invalid document id fails that document alone',
    async run({ open }) {
      const store = await open()
      const ids = ['', 'a\u0000b', 'a\u007f', '\ud800', 'x'.repeat(513)]
      for (const documentId of ids) {
        const results = await store.append([
          { documentId, entries: sampleEntries(1) },
          { documentId: 'fine', entries: sampleEntries(1) },
        ])
        expectTrue(
          results[0]?.ok === false && results[1]?.ok === true,
          `only ${JSON.stringify(documentId)} fails`,
        )
        expectCode(results[0].error, 'invalid-document-id', JSON.stringify(documentId))
      }
      expectEqual((await store.head('fine'))?.revision, ids.length, 'head of the other one')
    },
  },
  {
    id: 'append-concurrent-one',
    title: 'append: 200 appends to one document at once get 200 distinct places, each whole',
    async run({ open }) {
      const store = await open()
      const calls = Array.from({ length: 200 }, (_, call) =>
        appendTo(store, 'doc', sampleEntries(1 + (call % 3), `${call}/`)),
      )
      const results = await Promise.all(calls)
      const texts = await readTexts(store, 'doc')
      results.forEach(({ first, last }, call) => {
        const wanted = Array.from({ length: 1 + (call % 3) }, (_, index) => `${call}/${index + 1}`)
        expectEqual(texts.slice(first - 1, last), wanted, `what call ${call} wrote`)
      })
      expectEqual(new Set(texts).size, 399, 'distinct entries')
      expectEqual(texts.length, 399, 'entries')
    },
  },
  {
    id: 'append-concurrent-many',
    title: 'append: 50 documents, 10 appends each, all at once',
    async run({ open }) {
      const store = await open()
      const ids = Array.from({ length: 50 }, (_, index) => `doc-${index}`)
      const rounds = Array.from({ length: 10 }, (_, round) =>
        store.append(
          ids.map((documentId) => ({ documentId, entries: sampleEntries(2, `${documentId}:${round}:`) })),
        ),
      )
      for (const results of await Promise.all(rounds))
        expectTrue(
          results.every(({ ok }) => ok),
          'all succeed',
        )
      for (const documentId of ids) {
        const texts = await readTexts(store, documentId)
        expectEqual(texts.length, 20, `entries of ${documentId}`)
        expectTrue(
          texts.every((text) => text.startsWith(`${documentId}:`)),
          `${documentId} has only its own`,
        )
        expectTrue(
          texts.every(
            (text, index) => index % 2 === 0 || text.slice(0, -1) === texts[index - 1]?.slice(0, -1),
          ),
          `entries of one append stay together in ${documentId}`,
        )
      }
    },
  },
  {
    id: 'append-large',
    title: 'append: entries around the chunk size, and of several MB, among small ones',
    async run({ open }) {
      const store = await open()
      const sizes = [0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 700_001, 5 << 20, 10]
      const entries = sizes.map((size, index) => sampleEntry(sampleBytes(size, index + 1)))
      await appendTo(store, 'doc', entries.slice(0, 3))
      await appendTo(store, 'doc', entries.slice(3))
      const read = await readAll(store, 'doc')
      expectEqual(
        read.entries.map(({ update }) => update.length),
        sizes,
        'sizes',
      )
      expectEqual(
        read.entries.map(({ update }) => update),
        entries.map(({ update }) => update),
        'updates',
      )
      expectEqual(
        (await readAll(store, 'doc', { after: 5, upTo: 6 })).entries[0]?.update.length,
        700_001,
        'one alone',
      )
    },
  },
  {
    id: 'append-large-concurrent',
    title: 'append: large and small entries written at once stay whole',
    async run({ open }) {
      const store = await open()
      const calls = Array.from({ length: 16 }, (_, call) => {
        const size = call % 4 === 0 ? 600_000 + call : 50
        return appendTo(store, call % 2 === 0 ? 'even' : 'odd', [
          sampleEntry(sampleBytes(size, call + 1), { appendId: `${call}` }),
        ])
      })
      await Promise.all(calls)
      for (const documentId of ['even', 'odd']) {
        const { entries } = await readAll(store, documentId)
        expectEqual(entries.length, 8, 'entries')
        for (const { update, meta } of entries) {
          const call = Number(meta.appendId)
          expectEqual(
            update,
            sampleBytes(call % 4 === 0 ? 600_000 + call : 50, call + 1),
            `entry of call ${call}`,
          )
        }
      }
    },
  },
  {
    id: 'append-aliasing',
    title: 'append: bytes handed in may be reused afterwards, bytes handed out may be changed',
    async run({ open }) {
      const store = await open()
      for (const size of [10, 300_000]) {
        const documentId = `doc-${size}`
        const reused = sampleBytes(size)
        await appendTo(store, documentId, [{ update: reused, meta: sampleMeta() }])
        reused.fill(0)
        const [first] = (await readAll(store, documentId)).entries
        expectEqual(first?.update, sampleBytes(size), 'after the caller reused its array')
        first?.update.fill(0)
        expectEqual(
          (await readAll(store, documentId)).entries[0]?.update,
          sampleBytes(size),
          'after a reader wrote',
        )
      }
      // A view into a larger buffer, as a socket hands out.
      const pool = sampleBytes(1000)
      await appendTo(store, 'view', [{ update: pool.subarray(100, 150), meta: sampleMeta() }])
      expectEqual(
        (await readAll(store, 'view')).entries[0]?.update,
        sampleBytes(1000).slice(100, 150),
        'a view',
      )
    },
  },
]

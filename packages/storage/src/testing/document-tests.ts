import { compareDocumentIds } from '../index.ts'
import type { ContractTest } from './contract.ts'
import { expectCode, expectEqual, expectRejection, expectTrue, expectTypeError } from './expectations.ts'
import { neighbours } from './read-tests.ts'
import {
  appendTo,
  collect,
  readAll,
  readTexts,
  refusedAppend,
  sampleBytes,
  sampleCheckpoint,
  sampleEntries,
  sampleEntry,
} from './samples.ts'

export const documentTests: readonly ContractTest[] = [
  {
    id: 'create',
    title: 'create: makes an empty document once; the first append makes one, too',
    async run({ open }) {
      const store = await open()
      const head = await store.create('doc')
      expectEqual([head.revision, head.bytes, head.tombstone], [0, 0, undefined], 'head of a new document')
      expectTrue(head.incarnation.length > 0 && !head.incarnation.includes('.'), 'an incarnation has no dot')
      expectEqual(await store.head('doc'), head, 'head')
      await expectRejection(store.create('doc'), 'document-exists', 'twice')
      expectEqual(
        (await appendTo(store, 'doc', sampleEntries(1))).incarnation,
        head.incarnation,
        'incarnation',
      )
      const other = await appendTo(store, 'other', sampleEntries(1))
      await expectRejection(store.create('other'), 'document-exists', 'after an append')
      expectTrue(other.incarnation !== head.incarnation, 'incarnations differ')
    },
  },
  {
    id: 'create-race',
    title: 'create: of many at once, exactly one succeeds',
    async run({ open }) {
      const store = await open()
      const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => store.create('doc')))
      expectEqual(outcomes.filter(({ status }) => status === 'fulfilled').length, 1, 'successes')
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expectCode(outcome.reason, 'document-exists', 'the others')
    },
  },
  {
    id: 'delete-life',
    title: 'delete: leaves a tombstone that refuses appends, until create gives a new incarnation',
    async run({ open }) {
      const store = await open()
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(4))
      await store.checkpoint('doc', sampleCheckpoint(2, sampleBytes(500_000)))
      const before = Date.now()
      await store.delete('doc')
      const head = await store.head('doc')
      expectEqual([head?.incarnation, head?.revision, head?.bytes], [incarnation, 4, 0], 'tombstone')
      const deletedAtMs = head?.tombstone?.deletedAtMs ?? 0
      expectTrue(Math.abs(deletedAtMs - before) < 3_600_000, `deletedAtMs is a time, not ${deletedAtMs}`)
      for (const rest of [{}, { expect: 0 }, { expect: 4 }, { incarnation }]) {
        const append = { documentId: 'doc', entries: sampleEntries(1), ...rest }
        expectCode(await refusedAppend(store, append), 'document-deleted', JSON.stringify(rest))
      }
      const created = await store.create('doc')
      expectTrue(created.incarnation !== incarnation, 'the incarnation is new')
      expectEqual(
        [created.revision, created.bytes, created.tombstone],
        [0, 0, undefined],
        'head of the new one',
      )
      const append = { documentId: 'doc', entries: sampleEntries(1), incarnation }
      expectCode(await refusedAppend(store, append), 'incarnation-mismatch', 'an append to the old one')
      const { first } = await appendTo(store, 'doc', sampleEntries(2, 'new'), {
        incarnation: created.incarnation,
      })
      expectEqual(first, 1, 'numbering starts again')
      const { checkpoint, entries } = await readAll(store, 'doc')
      expectEqual([checkpoint, entries.length], [undefined, 2], 'nothing of the old one is left')
      expectEqual(await readTexts(store, 'doc'), ['new1', 'new2'], 'entries')
    },
  },
  {
    id: 'delete-again',
    title: 'delete: of what is deleted, or never was, changes nothing',
    async run({ open }) {
      const store = await open()
      await store.delete('never')
      expectEqual(await store.head('never'), undefined, 'never')
      await appendTo(store, 'doc', sampleEntries(1))
      await store.delete('doc')
      const head = await store.head('doc')
      await store.delete('doc')
      expectEqual(await store.head('doc'), head, 'the tombstone')
    },
  },
  {
    id: 'delete-condition',
    title:
      'delete: only at the revision and in the incarnation that were asked for; asking again is harmless',
    async run({ open }) {
      const store = await open()
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(3))
      const refusals = [
        [{ expect: 2 }, 'precondition-failed'],
        [{ expect: 4 }, 'precondition-failed'],
        [{ expect: 2, incarnation }, 'precondition-failed'],
        [{ incarnation: `${incarnation}x` }, 'incarnation-mismatch'],
        [{ expect: 3, incarnation: `${incarnation}x` }, 'incarnation-mismatch'],
      ] as const
      const expectRefusals = async (state: string) => {
        const head = await store.head('doc')
        for (const [condition, code] of refusals)
          await expectRejection(
            store.delete('doc', condition),
            code,
            `${state}, ${JSON.stringify(condition)}`,
          )
        expectEqual(await store.head('doc'), head, `the head, ${state}`)
      }
      await expectRefusals('alive')
      expectEqual(await readTexts(store, 'doc'), ['1', '2', '3'], 'entries')
      await expectTypeError(store.delete('doc', { expect: -1 }), 'expect -1')
      await store.delete('doc', { expect: 3, incarnation })
      const tombstone = await store.head('doc')
      expectTrue(tombstone?.tombstone !== undefined, 'it is deleted')
      await store.delete('doc', { expect: 3, incarnation })
      await expectRefusals('deleted')
      await store.create('doc')
      await expectRejection(store.delete('doc', { incarnation }), 'incarnation-mismatch', 'another life')
      await store.delete('doc', { expect: 0 })
      await store.delete('never', { expect: 0 })
      await expectRejection(store.delete('never', { expect: 1 }), 'precondition-failed', 'never, at 1')
      await expectRejection(store.delete('never', { incarnation }), 'incarnation-mismatch', 'never')
      expectEqual(await store.head('never'), undefined, 'never')
    },
  },
  {
    id: 'delete-condition-race',
    title:
      'delete: with `expect` it takes away only what the caller has seen, whatever is appended meanwhile',
    async run({ open }) {
      const store = await open()
      for (let round = 0; round < 20; round++) {
        const documentId = `doc${round}`
        await appendTo(store, documentId, sampleEntries(1))
        const append = () => store.append([{ documentId, entries: sampleEntries(1) }])
        const earlier = round % 2 === 0 ? append() : undefined
        const deletion = store.delete(documentId, { expect: 1 })
        const [[result], failure] = await Promise.all([
          earlier ?? append(),
          deletion.then(
            () => undefined,
            (error: unknown) => error,
          ),
        ])
        const head = await store.head(documentId)
        if (failure === undefined) {
          expectTrue(result?.ok === false, 'what is deleted takes no append')
          expectCode(result.error, 'document-deleted', 'the append')
          expectTrue(head?.tombstone !== undefined && head.revision === 1, 'it was deleted at 1')
        } else {
          expectCode(failure, 'precondition-failed', 'the deletion')
          expectTrue(result?.ok === true, 'the append won')
          expectTrue(head?.tombstone === undefined && head?.revision === 2, 'both entries are there')
        }
      }
    },
  },
  {
    id: 'delete-many-lives',
    title: 'delete: a document of many short lives, with large entries and checkpoints, never mixes them',
    async run({ open }) {
      const store = await open()
      const incarnations = new Set<string>()
      for (let life = 1; life <= 8; life++) {
        await store.create('doc')
        const large = sampleEntry(sampleBytes(400_000, life))
        incarnations.add(
          (await appendTo(store, 'doc', [large, ...sampleEntries(life, `${life}.`)])).incarnation,
        )
        await store.checkpoint('doc', sampleCheckpoint(1, sampleBytes(300_000, life)))
        const { checkpoint, entries } = await readAll(store, 'doc')
        expectEqual(checkpoint?.state, sampleBytes(300_000, life), 'state')
        expectEqual(entries.length, life, 'entries above it')
        if (life < 8) await store.delete('doc')
      }
      expectEqual(incarnations.size, 8, 'distinct incarnations')
    },
  },
  {
    id: 'delete-append-race',
    title: 'delete: an append at the same time is either gone with the document or refused',
    async run({ open }) {
      const store = await open()
      for (let round = 0; round < 10; round++) {
        const documentId = `doc${round}`
        await appendTo(store, documentId, sampleEntries(1))
        const [results] = await Promise.all([
          store.append([{ documentId, entries: sampleEntries(1) }]),
          store.delete(documentId),
        ])
        const [result] = results
        if (result?.ok === false) expectCode(result.error, 'document-deleted', 'refused')
        expectTrue((await store.head(documentId))?.tombstone !== undefined, 'the document is deleted')
        expectEqual(await readTexts(store, documentId), [], 'entries')
      }
    },
  },
  {
    id: 'head-bytes',
    title: 'head: bytes are those of the newest checkpoint and of the log above it',
    async run({ open }) {
      const store = await open({ retention: { entries: 0, bytes: 0, ageMs: 0 } })
      const entries = Array.from({ length: 10 }, (_, index) => sampleEntry(sampleBytes(1000, index + 1)))
      await appendTo(store, 'doc', entries)
      // A wrapper may add a little to each entry, and to a checkpoint.
      const expectBytes = async (least: number, what: string) => {
        const bytes = (await store.head('doc'))?.bytes ?? -1
        expectTrue(
          bytes >= least && bytes <= least * 1.1 + 1000,
          `${what}: ${bytes} bytes, at least ${least}`,
        )
      }
      await expectBytes(10_000, 'ten entries')
      await store.checkpoint('doc', sampleCheckpoint(4, sampleBytes(2500)))
      await expectBytes(8500, 'a checkpoint of 2,500 and six entries')
      await appendTo(store, 'doc', entries.slice(0, 2))
      await expectBytes(10_500, 'two more')
      await store.checkpoint('doc', sampleCheckpoint(12, sampleBytes(700_000)))
      await expectBytes(700_000, 'everything in a checkpoint')
    },
  },
  {
    id: 'list-order',
    title: 'list: by the UTF-8 bytes of the ids, whatever the order of creation',
    async run({ open }) {
      const store = await open()
      for (const documentId of neighbours.toReversed()) await appendTo(store, documentId, sampleEntries(1))
      const ids = (await collect(store.list())).map(({ documentId }) => documentId)
      const byBytes = neighbours.toSorted((left, right) => compareBytes(utf8(left), utf8(right)))
      expectEqual(ids, byBytes, 'ids')
      expectEqual(neighbours.toSorted(compareDocumentIds), byBytes, 'compareDocumentIds')
    },
  },
  {
    id: 'list-prefix',
    title: 'list: a prefix selects by characters, not by patterns, and never its neighbours',
    async run({ open }) {
      const store = await open()
      for (const documentId of neighbours) await store.create(documentId)
      for (const prefix of ['', ...neighbours, 'zz', 'a\u0000']) {
        const found = (await collect(store.list({ prefix }))).map(({ documentId }) => documentId)
        const wanted = neighbours.filter((id) => id.startsWith(prefix)).toSorted(compareDocumentIds)
        expectEqual(found, wanted, `prefix ${JSON.stringify(prefix)}`)
      }
    },
  },
  {
    id: 'list-pages',
    title: 'list: pages by `after` and `limit` join to the whole, with and without a prefix',
    async run({ open }) {
      const store = await open()
      const ids = [...Array.from({ length: 23 }, (_, index) => `p/${index}`), ...neighbours]
      for (const documentId of ids) await store.create(documentId)
      for (const prefix of [undefined, 'p/', 'a']) {
        const whole = (await collect(store.list({ prefix }))).map(({ documentId }) => documentId)
        for (const limit of [1, 7, 100]) {
          const joined: string[] = []
          for (;;) {
            const page = await collect(store.list({ prefix, limit, after: joined.at(-1) }))
            expectTrue(page.length <= limit, 'a page has at most `limit`')
            joined.push(...page.map(({ documentId }) => documentId))
            if (page.length < limit) break
          }
          expectEqual(joined, whole, `prefix ${prefix}, limit ${limit}`)
        }
      }
      expectEqual(await collect(store.list({ limit: 0 })), [], 'limit 0')
      const after = (await collect(store.list({ prefix: 'p/', after: 'p/19a' }))).map(
        ({ documentId }) => documentId,
      )
      expectEqual(after[0], 'p/2', 'after an id that does not exist')
    },
  },
  {
    id: 'list-deleted',
    title: 'list: tombstones only when asked for; each item says what `head` says',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'a', sampleEntries(2))
      await appendTo(store, 'b', sampleEntries(2))
      await store.create('c')
      await store.delete('b')
      expectEqual(
        (await collect(store.list())).map(({ documentId }) => documentId),
        ['a', 'c'],
        'alive',
      )
      const all = await collect(store.list({ deleted: true }))
      expectEqual(
        all.map(({ documentId }) => documentId),
        ['a', 'b', 'c'],
        'all',
      )
      for (const { documentId, ...head } of all) expectEqual(head, await store.head(documentId), documentId)
    },
  },
]

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const at = left.findIndex((byte, index) => byte !== right[index])
  return at === -1 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? -1)
}

import { isCheckpoint } from '../index.ts'
import type { ContractTest } from './contract.ts'
import { expectEqual, expectRejection, expectTrue, expectTypeError } from './expectations.ts'
import { appendTo, collect, readTexts, sampleEntries } from './samples.ts'

export const readTests: readonly ContractTest[] = [
  {
    id: 'read-nothing',
    title: 'read: gives nothing for a document that never was, is empty, or is deleted',
    async run({ open }) {
      const store = await open()
      expectEqual(await collect(store.read('never')), [], 'never')
      expectEqual(await store.head('never'), undefined, 'reading creates nothing')
      await store.create('empty')
      expectEqual(await collect(store.read('empty')), [], 'empty')
      expectEqual(await collect(store.read('empty', { after: 5 })), [], 'beyond the head')
      await appendTo(store, 'deleted', sampleEntries(3))
      await store.delete('deleted')
      expectEqual(await collect(store.read('deleted')), [], 'deleted')
    },
  },
  {
    id: 'read-range',
    title: 'read: `after` is exclusive, `upTo` inclusive, both may lie beyond the head',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(5))
      const cases = [
        [{}, '12345'],
        [{ after: 0 }, '12345'],
        [{ after: 2 }, '345'],
        [{ after: 5 }, ''],
        [{ after: 9 }, ''],
        [{ upTo: 0 }, ''],
        [{ upTo: 3 }, '123'],
        [{ upTo: 99 }, '12345'],
        [{ after: 1, upTo: 3 }, '23'],
        [{ after: 3, upTo: 3 }, ''],
        [{ after: 4, upTo: 2 }, ''],
      ] as const
      for (const [range, wanted] of cases)
        expectEqual((await readTexts(store, 'doc', range)).join(''), wanted, JSON.stringify(range))
      await expectTypeError(collect(store.read('doc', { after: -1 })), 'after -1')
      await expectTypeError(collect(store.read('doc', { upTo: 1.5 })), 'upTo 1.5')
    },
  },
  {
    id: 'read-neighbours',
    title: 'read: a document never shows entries of one whose id begins, ends or sorts like its own',
    async run({ open }) {
      const store = await open()
      for (const documentId of neighbours)
        await appendTo(store, documentId, sampleEntries(3, `${documentId}|`))
      for (const documentId of neighbours) {
        const wanted = [1, 2, 3].map((number) => `${documentId}|${number}`)
        expectEqual(await readTexts(store, documentId), wanted, JSON.stringify(documentId))
        expectEqual((await store.head(documentId))?.revision, 3, `head of ${JSON.stringify(documentId)}`)
      }
      for (const documentId of neighbours.filter((_, index) => index % 2 === 0))
        await store.delete(documentId)
      for (const [index, documentId] of neighbours.entries()) {
        const count = index % 2 === 0 ? 0 : 3
        expectEqual(
          (await readTexts(store, documentId)).length,
          count,
          `${JSON.stringify(documentId)} afterwards`,
        )
      }
    },
  },
  {
    id: 'read-many-revisions',
    title: 'read: revisions stay in numerical order past every power of ten and two that keys may trip over',
    async run({ open }) {
      const store = await open()
      for (let written = 0; written < 1200; written += 300)
        await appendTo(store, 'doc', sampleEntries(300, `${written}+`))
      expectEqual((await readTexts(store, 'doc')).length, 1200, 'entries')
      for (const after of [8, 9, 98, 99, 127, 255, 256, 511, 999, 1023, 1199])
        expectEqual((await readTexts(store, 'doc', { after })).length, 1200 - after, `above ${after}`)
    },
  },
  {
    id: 'read-while-appending',
    title: 'read: a slow reader gets a gapless prefix while appends go on, and appends do not wait for it',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(50))
      let seen = 0
      for await (const item of store.read('doc')) {
        expectTrue(!isCheckpoint(item), 'there is no checkpoint')
        seen++
        expectEqual(item.revision, seen, 'revision')
        if (seen <= 50) await appendTo(store, 'doc', sampleEntries(2))
        if (seen === 120) break
      }
      expectTrue(seen >= 50, 'everything that was there at the beginning is read')
      expectEqual((await store.head('doc'))?.revision, 150, 'head')
      expectEqual((await readTexts(store, 'doc')).length, 150, 'another read has it all')
    },
  },
  {
    id: 'read-concurrent',
    title: 'read: many readers of one document at once, some of which stop early',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(100))
      const readers = Array.from({ length: 20 }, async (_, index) => {
        let count = 0
        for await (const item of store.read('doc', { after: index })) {
          expectEqual(item.revision, index + ++count, 'revision')
          if (index % 2 === 0 && count === 5) break
        }
        expectEqual(count, index % 2 === 0 ? 5 : 100 - index, `reader ${index}`)
      })
      await Promise.all(readers)
    },
  },
  {
    id: 'read-deleted-meanwhile',
    title: 'read: of a document deleted and created again meanwhile, nothing is left out or mixed',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(500, 'old'))
      const texts: string[] = []
      let failure: unknown
      try {
        for await (const item of store.read('doc')) {
          expectTrue(!isCheckpoint(item), 'there is no checkpoint')
          texts.push(new TextDecoder().decode(item.update))
          if (texts.length === 1) {
            await store.delete('doc')
            await store.create('doc')
            await appendTo(store, 'doc', sampleEntries(500, 'new'))
          }
        }
      } catch (error) {
        failure = error
      }
      const wanted = Array.from({ length: texts.length }, (_, index) => `old${index + 1}`)
      expectEqual(texts, wanted, 'what was read')
      expectTrue(texts.length === 500 || failure !== undefined, 'a read that ends early says so')
    },
  },
  {
    id: 'invalid-id',
    title: 'every method refuses an invalid document id',
    async run({ open }) {
      const store = await open()
      for (const id of ['', 'a\u0000b', '\udfff', 'ü'.repeat(257)]) {
        const what = JSON.stringify(id)
        await expectRejection(collect(store.read(id)), 'invalid-document-id', `read ${what}`)
        await expectRejection(store.head(id), 'invalid-document-id', `head ${what}`)
        await expectRejection(store.create(id), 'invalid-document-id', `create ${what}`)
        await expectRejection(store.delete(id), 'invalid-document-id', `delete ${what}`)
      }
      const longest = 'ü'.repeat(256)
      await appendTo(store, longest, sampleEntries(1))
      expectEqual((await store.head(longest))?.revision, 1, 'the longest id there can be')
    },
  },
]

/** Ids that are prefixes of each other, or that separators, patterns and escapes of keys may trip over. */
export const neighbours: readonly string[] = [
  'a',
  'aa',
  'ab',
  'a0',
  'a/',
  'a/b',
  'a:',
  'a:b',
  'a!',
  'a~',
  'a%00',
  'a\\0',
  'a\u0080',
  'a\u2400',
  'a%',
  'a_',
  'a*',
  'a?',
  'a[b]',
  "a'b",
  'a"b',
  'a{b}',
  'a b',
  'a ',
  ' a',
  'A',
  'ä',
  'a\u0308',
  '日本',
  '日本語',
  '\u{1f469}',
  '\uffee',
  'é',
  'e\u0301',
  '.',
  '..',
  '/',
  '//',
  ':',
  '1',
  '10',
  '2',
  '-1',
  'null',
  '__proto__',
  'constructor',
]

import { isCheckpoint } from '../index.ts'
import type { DocumentStore, RetentionPolicy } from '../index.ts'
import type { ContractTest } from './contract.ts'
import { eventually, expectEqual, expectRejection, expectTrue, expectTypeError } from './expectations.ts'
import {
  appendTo,
  chunksOf,
  collect,
  joinChunks,
  readAll,
  readTexts,
  sampleBytes,
  sampleCheckpoint,
  sampleEntries,
  sampleEntry,
} from './samples.ts'

const keepNothing: RetentionPolicy = { entries: 0, bytes: 0, ageMs: 0 }
const keepAll: RetentionPolicy = { entries: 1e6, bytes: 1e9, ageMs: 1e12 }

export const checkpointTests: readonly ContractTest[] = [
  {
    id: 'checkpoint-read',
    title: 'checkpoint: who has nothing gets it with the entries above; who has more gets entries only',
    async run({ open }) {
      const store = await open({ retention: keepNothing })
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(10))
      const state = sampleBytes(5000)
      await store.checkpoint(
        'doc',
        sampleCheckpoint(7, [state.slice(0, 10), state.slice(10, 10), state.slice(10)]),
      )
      const whole = await readAll(store, 'doc')
      const checkpoint = { revision: 7, incarnation, stateVector: sampleBytes(20, 7), state }
      expectEqual(whole.checkpoint, checkpoint, 'checkpoint')
      expectEqual(texts(whole.entries), ['8', '9', '10'], 'entries above it')
      await trimmed(store, 'doc', 7)
      expectEqual(
        (await readAll(store, 'doc', { after: 3 })).checkpoint,
        checkpoint,
        'below what is retained',
      )
      expectEqual((await readAll(store, 'doc', { after: 7 })).checkpoint, undefined, 'right above it')
      expectEqual(await readTexts(store, 'doc', { after: 8 }), ['9', '10'], 'further above')
    },
  },
  {
    id: 'checkpoint-keeps-above',
    title: 'checkpoint: entries above it are never removed, whatever the retention',
    async run({ open }) {
      const store = await open({ retention: keepNothing })
      for (let round = 1; round <= 10; round++) {
        await appendTo(store, 'doc', sampleEntries(10, `${round}.`))
        await store.checkpoint('doc', sampleCheckpoint(round * 10 - 5, sampleBytes(100, round)))
        const { checkpoint, entries } = await readAll(store, 'doc')
        expectEqual(checkpoint?.revision, round * 10 - 5, 'checkpoint')
        expectEqual(checkpoint?.state, sampleBytes(100, round), 'state')
        expectEqual(
          texts(entries),
          [6, 7, 8, 9, 10].map((entry) => `${round}.${entry}`),
          'entries above',
        )
      }
    },
  },
  {
    id: 'checkpoint-newest',
    title: 'checkpoint: the newest is kept; an older or equal one is ignored, even when it finishes last',
    async run({ open }) {
      const store = await open({ retention: keepAll })
      await appendTo(store, 'doc', sampleEntries(20))
      await store.checkpoint('doc', sampleCheckpoint(10, sampleBytes(300, 1)))
      await store.checkpoint('doc', sampleCheckpoint(9, sampleBytes(300, 2)))
      await store.checkpoint('doc', sampleCheckpoint(10, sampleBytes(300, 3)))
      expectEqual(
        (await readAll(store, 'doc')).checkpoint?.state,
        sampleBytes(300, 1),
        'after older and equal ones',
      )
      const revisions = [12, 18, 11, 15, 17, 13]
      await Promise.all(
        revisions.map((revision) =>
          store.checkpoint('doc', sampleCheckpoint(revision, sampleBytes(700_000, revision))),
        ),
      )
      const { checkpoint } = await readAll(store, 'doc')
      expectEqual(checkpoint?.revision, 18, 'of several at once')
      expectEqual(checkpoint?.state, sampleBytes(700_000, 18), 'its state')
    },
  },
  {
    id: 'checkpoint-continuation',
    title: 'checkpoint: while all entries above `after` are retained, a reader with an `after` gets those',
    async run({ open }) {
      const store = await open({ retention: keepAll })
      await appendTo(store, 'doc', sampleEntries(6))
      await store.checkpoint('doc', sampleCheckpoint(4, sampleBytes(10)))
      expectEqual((await readTexts(store, 'doc', { after: 0 })).join(''), '123456', 'after 0')
      expectEqual(
        (await readTexts(store, 'doc', { after: 2, upTo: 3 })).join(''),
        '3',
        'history below the checkpoint',
      )
      const whole = await readAll(store, 'doc')
      expectEqual([whole.checkpoint?.revision, ...texts(whole.entries)], [4, '5', '6'], 'without after')
      const old = await readAll(store, 'doc', { upTo: 2 })
      expectEqual([old.checkpoint, ...texts(old.entries)], [undefined, '1', '2'], 'up to a revision below it')
      const mid = await readAll(store, 'doc', { upTo: 5 })
      expectEqual([mid.checkpoint?.revision, ...texts(mid.entries)], [4, '5'], 'up to a revision above it')
    },
  },
  {
    id: 'checkpoint-expired',
    title: 'checkpoint: `upTo` below what is retained is `revision-expired`',
    async run({ open }) {
      const store = await open({ retention: { ...keepAll, entries: 3 } })
      await appendTo(store, 'doc', sampleEntries(20))
      await store.checkpoint('doc', sampleCheckpoint(10, sampleBytes(10)))
      await trimmed(store, 'doc', 7)
      for (const range of [{ upTo: 9 }, { after: 0, upTo: 9 }, { after: 6, upTo: 8 }, { upTo: 3 }])
        await expectRejection(collect(store.read('doc', range)), 'revision-expired', JSON.stringify(range))
      expectEqual(await readTexts(store, 'doc', { after: 7, upTo: 9 }), ['8', '9'], 'what is retained')
      const old = await readAll(store, 'doc', { after: 6, upTo: 10 })
      expectEqual([old.checkpoint?.revision, old.entries.length], [10, 0], 'up to the checkpoint itself')
    },
  },
  {
    id: 'retention-entries',
    title: 'retention: by number of entries',
    async run({ open }) {
      const store = await open({ retention: { ...keepAll, entries: 5 } })
      await appendTo(store, 'doc', sampleEntries(30))
      await store.checkpoint('doc', sampleCheckpoint(20, sampleBytes(10)))
      await trimmed(store, 'doc', 15)
    },
  },
  {
    id: 'retention-bytes',
    title: 'retention: by bytes of the updates',
    async run({ open }) {
      const store = await open({ retention: { ...keepAll, bytes: 18_500 } })
      const entries = Array.from({ length: 30 }, (_, index) => sampleEntry(sampleBytes(4000, index + 1)))
      await appendTo(store, 'doc', entries)
      await store.checkpoint('doc', sampleCheckpoint(20, sampleBytes(10)))
      // A wrapper may add some bytes to each update, but not a tenth.
      await trimmed(store, 'doc', 16)
    },
  },
  {
    id: 'retention-age',
    title: 'retention: by age',
    async run({ open }) {
      const store = await open({ retention: { ...keepAll, ageMs: 3_600_000 } })
      const hoursOld = (hours: number) =>
        sampleEntry('old', { committedAtMs: Date.now() - hours * 3_600_000 })
      await appendTo(store, 'doc', [9, 8, 7, 6, 5, 4, 3, 2, 0.5, 0.4, 0.3, 0.2].map(hoursOld))
      await store.checkpoint('doc', sampleCheckpoint(11, sampleBytes(10)))
      await trimmed(store, 'doc', 8)
    },
  },
  {
    id: 'retention-default',
    title: 'retention: the default keeps a short history whole',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(100))
      await store.checkpoint('doc', sampleCheckpoint(100, sampleBytes(10)))
      expectEqual((await readTexts(store, 'doc', { after: 0 })).length, 100, 'entries')
    },
  },
  {
    id: 'checkpoint-large',
    title:
      'checkpoint: of several MB in uneven chunks; read without being joined, and again while it is replaced',
    async run({ open }) {
      const store = await open({ retention: keepNothing })
      await appendTo(store, 'doc', sampleEntries(3))
      const state = sampleBytes(6_000_001)
      const cuts = [0, 1, 500_000, 500_001, 3_000_000, state.length]
      const chunks = cuts.slice(1).map((cut, index) => state.slice(cuts[index], cut))
      await store.checkpoint('doc', sampleCheckpoint(2, chunks))
      for await (const item of store.read('doc')) {
        if (!isCheckpoint(item)) continue
        let largest = 0
        const parts: Uint8Array[] = []
        for await (const part of item.state) {
          largest = Math.max(largest, part.length)
          parts.push(part)
        }
        expectEqual(await joinChunks(chunksOf(...parts)), state, 'state')
        expectTrue(largest <= 4 << 20, `the largest chunk has ${largest} bytes`)
      }
      let read: Uint8Array | undefined
      let failure: unknown
      try {
        for await (const item of store.read('doc')) {
          if (!isCheckpoint(item)) continue
          await store.checkpoint('doc', sampleCheckpoint(3, sampleBytes(2_000_000, 9)))
          read = await joinChunks(item.state)
        }
      } catch (error) {
        failure = error
      }
      expectTrue(failure !== undefined || read !== undefined, 'the reader gets the state or an error')
      if (failure === undefined) expectEqual(read, state, 'the state that the read began with')
      expectEqual((await readAll(store, 'doc')).checkpoint?.state, sampleBytes(2_000_000, 9), 'the new one')
    },
  },
  {
    id: 'checkpoint-unread',
    title: 'checkpoint: a reader may leave the state unread, or stop within it',
    async run({ open }) {
      const store = await open({ retention: keepNothing })
      await appendTo(store, 'doc', sampleEntries(5))
      await store.checkpoint('doc', sampleCheckpoint(3, sampleBytes(1_000_000)))
      for (const chunksRead of [0, 1]) {
        const revisions: number[] = []
        for await (const item of store.read('doc')) {
          revisions.push(item.revision)
          if (!isCheckpoint(item) || chunksRead === 0) continue
          for await (const chunk of item.state) if (chunk.length > 0) break
        }
        expectEqual(revisions, [3, 4, 5], `with ${chunksRead} chunks read`)
      }
    },
  },
  {
    id: 'checkpoint-refused',
    title:
      'checkpoint: refused for no document, a deleted one, another incarnation, or a revision above the head',
    async run({ open }) {
      const store = await open()
      const make = (revision: number) => sampleCheckpoint(revision, sampleBytes(10))
      await expectRejection(store.checkpoint('never', make(1)), 'document-not-found', 'never')
      await expectRejection(store.checkpoint('\u0000', make(1)), 'invalid-document-id', 'an invalid id')
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(3))
      await expectRejection(store.checkpoint('doc', make(4)), 'precondition-failed', 'above the head')
      await expectTypeError(store.checkpoint('doc', make(0)), 'revision 0')
      await expectTypeError(store.checkpoint('doc', make(1.5)), 'revision 1.5')
      const other = { ...make(2), incarnation: `${incarnation}0` }
      await expectRejection(store.checkpoint('doc', other), 'incarnation-mismatch', 'another incarnation')
      await store.checkpoint('doc', { ...make(2), incarnation })
      expectEqual((await readAll(store, 'doc')).checkpoint?.revision, 2, 'the right incarnation')
      await store.delete('doc')
      await expectRejection(store.checkpoint('doc', make(1)), 'document-deleted', 'deleted')
    },
  },
  {
    id: 'checkpoint-overtaken',
    title:
      'checkpoint: one that is still being written when its document is created again does not enter the new one',
    async run({ open }) {
      const store = await open()
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(3))
      async function* slowState(): AsyncIterable<Uint8Array> {
        yield sampleBytes(300_000)
        await store.delete('doc')
        await store.create('doc')
        await appendTo(store, 'doc', sampleEntries(5, 'new'))
        yield sampleBytes(300_000)
      }
      const checkpoint = { ...sampleCheckpoint(3, []), incarnation, state: slowState() }
      await expectRejection(
        store.checkpoint('doc', checkpoint),
        'incarnation-mismatch',
        'the late checkpoint',
      )
      const { checkpoint: found, entries } = await readAll(store, 'doc')
      expectEqual(
        [found, ...texts(entries)],
        [undefined, 'new1', 'new2', 'new3', 'new4', 'new5'],
        'the new document',
      )
    },
  },
  {
    id: 'checkpoint-source-fails',
    title: 'checkpoint: a source that throws leaves the one before in place, and its error is passed on',
    async run({ open }) {
      const store = await open({ retention: keepNothing })
      await appendTo(store, 'doc', sampleEntries(5))
      await store.checkpoint('doc', sampleCheckpoint(2, sampleBytes(400_000, 2)))
      const broken = new RangeError('the source is broken')
      async function* brokenState(): AsyncIterable<Uint8Array> {
        yield sampleBytes(400_000)
        throw broken
      }
      const failure = await store
        .checkpoint('doc', { ...sampleCheckpoint(4, []), state: brokenState() })
        .then(
          () => undefined,
          (error: unknown) => error,
        )
      const passedOn = failure === broken || (failure instanceof Error && failure.cause === broken)
      expectTrue(passedOn, `the error of the source is passed on, not ${String(failure)}`)
      const { checkpoint, entries } = await readAll(store, 'doc')
      expectEqual([checkpoint?.revision, ...texts(entries)], [2, '3', '4', '5'], 'what is read')
      expectEqual(checkpoint?.state, sampleBytes(400_000, 2), 'state')
    },
  },
  {
    id: 'checkpoint-aliasing',
    title: 'checkpoint: bytes handed in may be reused afterwards, bytes handed out may be changed',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(2))
      const chunk = sampleBytes(1000)
      const stateVector = sampleBytes(20)
      await store.checkpoint('doc', { revision: 1, stateVector, state: chunksOf(chunk) })
      chunk.fill(0)
      stateVector.fill(0)
      const first = await readAll(store, 'doc')
      expectEqual(
        [first.checkpoint?.state, first.checkpoint?.stateVector],
        [sampleBytes(1000), sampleBytes(20)],
        'first',
      )
      first.checkpoint?.state.fill(0)
      first.checkpoint?.stateVector.fill(0)
      const second = await readAll(store, 'doc')
      expectEqual(
        [second.checkpoint?.state, second.checkpoint?.stateVector],
        [sampleBytes(1000), sampleBytes(20)],
        'again',
      )
    },
  },
  {
    id: 'checkpoint-while-appending',
    title: 'checkpoint: appends go on while one is written, and all of them are kept',
    async run({ open }) {
      const store = await open({ retention: keepNothing })
      await appendTo(store, 'doc', sampleEntries(10))
      async function* slowState(): AsyncIterable<Uint8Array> {
        for (let part = 0; part < 5; part++) {
          await appendTo(store, 'doc', sampleEntries(1, `during${part}.`))
          yield sampleBytes(200_000, part + 1)
        }
      }
      await store.checkpoint('doc', { ...sampleCheckpoint(10, []), state: slowState() })
      const { checkpoint, entries } = await readAll(store, 'doc')
      expectEqual(checkpoint?.revision, 10, 'checkpoint')
      expectEqual(
        texts(entries),
        [0, 1, 2, 3, 4].map((part) => `during${part}.1`),
        'entries',
      )
    },
  },
]

function texts(entries: readonly { update: Uint8Array }[]): string[] {
  return entries.map(({ update }) => new TextDecoder().decode(update))
}

/** Waits until exactly the entries above `cut` are retained, which a reader at `cut - 1` tells from one at `cut`. */
async function trimmed(store: DocumentStore, documentId: string, cut: number): Promise<void> {
  await eventually(
    async () => (await readAll(store, documentId, { after: cut - 1 })).checkpoint !== undefined,
    `entries up to ${cut} are removed`,
  )
  const { checkpoint, entries } = await readAll(store, documentId, { after: cut })
  expectTrue(checkpoint === undefined && entries[0]?.revision === cut + 1, `entries above ${cut} stay`)
}

import type { DocumentStore, LogEntry, SubscribeOptions } from '../index.ts'
import type { PolyphonyError } from '@polyphony/core'
import type { ContractTest } from './contract.ts'
import { eventually, expectEqual, expectRejection, expectTrue } from './expectations.ts'
import { appendTo, sampleBytes, sampleCheckpoint, sampleEntries, sampleEntry } from './samples.ts'

export const subscribeTests: readonly ContractTest[] = [
  {
    id: 'subscribe-own',
    title: 'subscribe: own entries arrive, those that exist already first, in order',
    needs: 'shared',
    async run({ open }) {
      const store = await open()
      await appendTo(store, 'doc', sampleEntries(3))
      const feed = await follow(store, 'doc', 0)
      const { incarnation } = await appendTo(store, 'doc', sampleEntries(2, 'later'))
      await feed.reaches(5)
      expectEqual(feed.incarnation(), incarnation, 'incarnation')
      expectEqual(feed.texts(), ['1', '2', '3', 'later1', 'later2'], 'entries')
    },
  },
  {
    id: 'subscribe-after',
    title: 'subscribe: from any revision, also at and beyond the head, and before the document exists',
    needs: 'shared',
    async run({ open }) {
      const store = await open()
      const early = await follow(store, 'doc', 0)
      await appendTo(store, 'doc', sampleEntries(4))
      const feeds = await Promise.all([0, 1, 3, 4].map((after) => follow(store, 'doc', after)))
      await appendTo(store, 'doc', sampleEntries(2, 'x'))
      await early.reaches(6)
      expectEqual(early.revisions(), [1, 2, 3, 4, 5, 6], 'before the document existed')
      for (const [index, after] of [0, 1, 3, 4].entries()) {
        await feeds[index]?.reaches(6)
        expectEqual(feeds[index]?.revisions(), [1, 2, 3, 4, 5, 6].slice(after), `after ${after}`)
      }
    },
  },
  {
    id: 'subscribe-nodes',
    title: 'subscribe: entries of several nodes arrive at each in one order, whole and byte for byte',
    needs: 'shared',
    async run({ open }) {
      const nodes = await Promise.all([open(), open(), open()])
      const feeds = await Promise.all(nodes.map((node) => follow(node, 'doc', 0)))
      const calls = nodes.flatMap((node, index) =>
        Array.from({ length: 20 }, (_, call) => {
          const large = call % 10 === 9 ? [sampleEntry(sampleBytes(400_000, call))] : []
          return appendTo(node, 'doc', [...sampleEntries(2, `${index}:${call}:`), ...large])
        }),
      )
      await Promise.all(calls)
      for (const feed of feeds) await feed.reaches(126)
      expectEqual(
        feeds[0]?.revisions(),
        Array.from({ length: 126 }, (_, index) => index + 1),
        'revisions',
      )
      for (const feed of feeds) expectEqual(feed.entries, feeds[0]?.entries, 'what each node hears')
    },
  },
  {
    id: 'subscribe-apart',
    title: 'subscribe: documents do not hear of each other',
    needs: 'shared',
    async run({ open }) {
      const store = await open()
      const feeds = await Promise.all(['a', 'ab', 'a:'].map((documentId) => follow(store, documentId, 0)))
      for (const documentId of ['ab', 'a', 'a:', 'b'])
        await appendTo(store, documentId, sampleEntries(1, `${documentId} `))
      for (const feed of feeds) await feed.reaches(1)
      expectEqual(
        feeds.map((feed) => feed.texts()),
        [['a 1'], ['ab 1'], ['a: 1']],
        'entries',
      )
    },
  },
  {
    id: 'subscribe-unsubscribe',
    title: 'subscribe: after unsubscribing nothing arrives; other listeners stay',
    needs: 'shared',
    async run({ open }) {
      const store = await open()
      const leaving = await follow(store, 'doc', 0)
      const staying = await follow(store, 'doc', 0)
      await appendTo(store, 'doc', sampleEntries(1))
      await leaving.reaches(1)
      await leaving.unsubscribe()
      await leaving.unsubscribe()
      await appendTo(store, 'doc', sampleEntries(1))
      await staying.reaches(2)
      expectEqual(leaving.revisions(), [1], 'the one that left')
    },
  },
  {
    id: 'subscribe-expired',
    title: 'subscribe: from below what is retained is `revision-expired`',
    needs: 'shared',
    async run({ open }) {
      const store = await open({ retention: { entries: 2, bytes: 1e9, ageMs: 1e12 } })
      await appendTo(store, 'doc', sampleEntries(10))
      await store.checkpoint('doc', sampleCheckpoint(8, sampleBytes(10)))
      await eventually(
        () =>
          follow(store, 'doc', 2).then(
            async (feed) => {
              await feed.unsubscribe()
              return false
            },
            () => true,
          ),
        'covered entries are removed',
      )
      await expectRejection(follow(store, 'doc', 2), 'revision-expired', 'after 2')
      const feed = await follow(store, 'doc', 8)
      await feed.reaches(10)
      expectEqual(feed.revisions(), [9, 10], 'after 8')
    },
  },
  {
    id: 'subscribe-deleted',
    title: 'subscribe: ends when the document is deleted, here or elsewhere, and is refused afterwards',
    needs: 'shared',
    async run({ open }) {
      const [here, there] = await Promise.all([open(), open()])
      const { incarnation } = await appendTo(here, 'doc', sampleEntries(2))
      const feeds = await Promise.all([here, there].map((store) => follow(store, 'doc', 0)))
      for (const feed of feeds) await feed.reaches(2)
      await there.delete('doc')
      for (const feed of feeds) {
        await eventually(() => feed.ended() !== undefined, 'the subscription ends')
        expectEqual(feed.ended()?.code, 'document-deleted', 'why')
      }
      await expectRejection(follow(here, 'doc', 0), 'document-deleted', 'a deleted document')
      await here.create('doc')
      await appendTo(here, 'doc', sampleEntries(1, 'new'))
      await expectRejection(
        follow(there, 'doc', 0, incarnation),
        'incarnation-mismatch',
        'the old incarnation',
      )
      const feed = await follow(there, 'doc', 0)
      await feed.reaches(1)
      expectEqual(feed.texts(), ['new1'], 'the new document')
      expectEqual(
        feeds.map((old) => old.revisions()),
        [
          [1, 2],
          [1, 2],
        ],
        'the ended ones',
      )
    },
  },
  {
    id: 'subscribe-closed',
    title: 'subscribe: ends with `store-closed` when the store is closed',
    needs: 'shared',
    async run({ open }) {
      const store = await open()
      const feed = await follow(store, 'doc', 0)
      await store.close()
      await eventually(() => feed.ended() !== undefined, 'the subscription ends')
      expectEqual(feed.ended()?.code, 'store-closed', 'why')
    },
  },
  ...(['lose', 'repeat', 'disconnect'] as const).map((how): ContractTest => ({
    id: `subscribe-${how}`,
    title: `subscribe: stays gapless and without repeats when delivery goes wrong (${how})`,
    needs: 'disturb',
    async run({ open, place }) {
      const [here, there] = await Promise.all([open(), open()])
      const feeds = await Promise.all([here, there].map((store) => follow(store, 'doc', 0)))
      for (let round = 0; round < 5; round++) {
        await place.disturb?.(how)
        await appendTo(here, 'doc', sampleEntries(2, `${round}.`))
        await appendTo(there, 'doc', sampleEntries(1, `${round}..`))
      }
      for (const feed of feeds) {
        await feed.reaches(15)
        expectEqual(
          feed.revisions(),
          Array.from({ length: 15 }, (_, index) => index + 1),
          'revisions',
        )
      }
    },
  })),
]

interface Feed {
  readonly entries: readonly LogEntry[]
  revisions(): number[]
  texts(): string[]
  reaches(revision: number): Promise<void>
  /** As told with the entries. */
  incarnation(): string | undefined
  ended(): PolyphonyError | undefined
  unsubscribe(): Promise<void>
}

async function follow(
  store: DocumentStore,
  documentId: string,
  after: number,
  incarnation?: string,
): Promise<Feed> {
  const entries: LogEntry[] = []
  let reason: PolyphonyError | undefined
  const options: SubscribeOptions = {
    incarnation,
    ended: (error) => {
      expectTrue(reason === undefined, 'a subscription ends once')
      reason = error
    },
  }
  let told: string | undefined
  const listener = (more: readonly LogEntry[], toldIncarnation: string) => {
    expectTrue(told === undefined || told === toldIncarnation, 'a subscription is of one incarnation')
    told = toldIncarnation
    entries.push(...more)
  }
  const unsubscribe = await store.subscribe?.(documentId, after, listener, options)
  expectTrue(unsubscribe !== undefined, 'a shared store has subscribe')
  return {
    entries,
    revisions: () => entries.map(({ revision }) => revision),
    texts: () => entries.map(({ update }) => new TextDecoder().decode(update)),
    reaches: (revision) =>
      eventually(
        () => (entries.at(-1)?.revision ?? 0) >= revision,
        `"${documentId}" is followed to ${revision}`,
      ),
    incarnation: () => told,
    ended: () => reason,
    unsubscribe,
  }
}

import { PolyphonyError, silentTelemetry } from '@polyphony/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SnapshotMemory, StateFeed, type FeedOptions } from '../src/index.ts'
import { ManualClock, TestDocument, TestReader, turn } from './support.ts'

function setup(options: Partial<FeedOptions> = {}, pointer = '') {
  const document = new TestDocument()
  const clock = new ManualClock()
  const feed = new StateFeed(document, { clock, telemetry: silentTelemetry, pointer, options })
  const edit = (task: () => void): void => {
    task()
    feed.changed()
  }
  return { document, clock, feed, edit }
}

test('a reader gets the state, then what changes', async () => {
  const { document, clock, feed, edit } = setup()
  document.set('title', 'one')
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  expect(reader.state).toEqual({ title: 'one' })
  edit(() => document.set('title', 'two'))
  await clock.pass(0)
  expect(reader.state).toEqual({ title: 'two' })
  expect(reader.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA'])
})

test('what changes within an interval is one delta', async () => {
  const { document, clock, feed, edit } = setup()
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  for (let index = 0; index < 100; index++) {
    edit(() => document.set(`k${index % 10}`, index))
    await clock.pass(1)
  }
  await clock.pass(100)
  expect(reader.state).toEqual(document.state)
  expect(reader.events.length).toBeLessThanOrEqual(5)
  expect(reader.events.at(-1)?.delta?.length).toBeLessThanOrEqual(10)
})

test('many readers share one read and the same bytes', async () => {
  const { document, clock, feed, edit } = setup()
  document.set('title', 'one')
  const readers = Array.from({ length: 100 }, () => new TestReader())
  for (const reader of readers) feed.subscribe(reader)
  await clock.pass(0)
  edit(() => document.set('title', 'two'))
  await clock.pass(0)
  const [first, ...others] = readers
  expect(first!.frames).toHaveLength(2)
  for (const { frames } of others) {
    expect(frames[0]).toBe(first!.frames[0])
    expect(frames[1]).toBe(first!.frames[1])
  }
  expect(document.reads).toBeLessThanOrEqual(3)
})

test('without a net change nothing is sent, and the chain of versions holds', async () => {
  const { document, clock, feed, edit } = setup()
  document.set('title', 'one')
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  edit(() => {
    document.set('draft', 1)
    document.view.apply([{ op: 'remove', path: '/draft' }])
  })
  await clock.pass(1_000)
  expect(reader.kinds).toEqual(['STATE_SNAPSHOT'])
  edit(() => document.set('title', 'two'))
  await clock.pass(1_000)
  expect(reader.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA'])
  expect(reader.state).toEqual(document.state)
})

test('a view of a part hears of that part only', async () => {
  const { document, clock, feed, edit } = setup({}, '/list')
  document.set('list', [1, 2])
  document.set('other', 'x')
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  edit(() => document.set('other', 'y'))
  await clock.pass(1_000)
  edit(() => void document.view.apply([{ op: 'add', path: '/list/0', value: 0 }]))
  await clock.pass(1_000)
  expect(reader.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA'])
  expect(reader.state).toEqual([0, 1, 2])
})

test('a part that is not there ends the feed', async () => {
  const { clock, feed } = setup({}, '/nowhere')
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  expect(reader.error).toMatchObject({ code: 'pointer-not-found' })
  expect(feed.readerCount).toBe(0)
})

test('a reader that proves what it holds gets the difference', async () => {
  const { document, clock, feed } = setup()
  document.set('title', 'one')
  const since = document.view.version
  const held = document.state
  const current = new TestReader(held, `test.${since.toString()}`)
  feed.subscribe(current, since)
  await clock.pass(0)
  expect(current.kinds).toEqual([])
  document.set('title', 'two')
  document.set('more', [1])
  const behind = new TestReader(held, `test.${since.toString()}`)
  feed.subscribe(behind, since)
  await clock.pass(0)
  expect(behind.kinds).toEqual(['STATE_DELTA'])
  expect(behind.state).toEqual(document.state)
})

test('a reader that is behind gets one net delta when it takes frames again', async () => {
  const { document, clock, feed, edit } = setup()
  const slow = new TestReader()
  slow.room = 1
  const subscription = feed.subscribe(slow)
  await clock.pass(0)
  for (let index = 0; index < 50; index++) {
    edit(() => document.set('count', index))
    await clock.pass(200)
  }
  expect(slow.frames).toHaveLength(1)
  slow.room = Infinity
  subscription.drained()
  await clock.pass(200)
  expect(slow.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA'])
  expect(slow.state).toEqual({ count: 49 })
})

test('a client that drifted is repaired by the next repeated snapshot', async () => {
  const { document, clock, feed, edit } = setup({ repair: { intervalMsMin: 10_000, bytesPerSecond: 1_000 } })
  document.set('title', 'one')
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  reader.failsNext = true
  edit(() => document.set('title', 'two'))
  await clock.pass(100)
  expect(reader.state).toEqual({ title: 'one' })
  await clock.pass(10_000)
  expect(reader.state).toEqual({ title: 'two' })
  expect(reader.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA', 'STATE_SNAPSHOT'])
  await clock.pass(3_600_000)
  expect(reader.frames).toHaveLength(3)
})

test('repetition goes on after all readers left and others came', async () => {
  const { document, clock, feed, edit } = setup({ repair: { intervalMsMin: 1_000, bytesPerSecond: 1_000 } })
  const first = feed.subscribe(new TestReader())
  await clock.pass(0)
  edit(() => document.set('a', 1))
  await clock.pass(100)
  first.close()
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  edit(() => document.set('a', 2))
  await clock.pass(2_000)
  expect(reader.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA', 'STATE_SNAPSHOT'])
})

test('a large state goes out frame by frame, as the reader takes them', async () => {
  const { document, clock, feed, edit } = setup({ frameBytesMax: 20_000 })
  for (let index = 0; index < 200; index++) document.set(`k${index}`, 'x'.repeat(1_000))
  const reader = new TestReader()
  reader.room = 1
  const subscription = feed.subscribe(reader)
  await clock.pass(0)
  expect(reader.frames).toHaveLength(1)
  expect(Object.keys(reader.state as object).length).toBeLessThan(20)
  edit(() => document.set('k0', 'changed meanwhile'))
  for (let drains = 0; drains < 100 && Object.keys(reader.state as object).length < 200; drains++) {
    reader.room = 1
    subscription.drained()
    await clock.pass(0)
  }
  reader.room = Infinity
  subscription.drained()
  await clock.pass(1_000)
  expect(reader.frames.length).toBeGreaterThan(10)
  expect(reader.state).toEqual(document.state)
})

/** A state that takes some turns to be encoded. */
function large(document: TestDocument): void {
  const rows = Array.from({ length: 10_000 }, (_, index) => ({
    index,
    text: `row ${index} ${'x'.repeat(100)}`,
  }))
  document.set('rows', rows)
}

test('a snapshot shows one version, whatever is edited while it is made, and what changed follows', async () => {
  const { document, clock, feed, edit } = setup({ frameBytesMax: 20_000 })
  large(document)
  const reader = new TestReader()
  const other = new TestReader()
  let flushed = false
  void feed
    .subscribe(reader)
    .flush()
    .then(() => (flushed = true))
  await turn()
  expect(reader.frames.length).toBeGreaterThan(0)
  expect(flushed).toBe(false)
  const atFirst = document.state
  edit(() => document.view.apply([{ op: 'remove', path: '/rows/9999' }]))
  edit(() => document.set('late', 1))
  // Comes while the snapshot is being made, and shares it.
  feed.subscribe(other)
  await clock.pass(1_000)
  expect(flushed).toBe(true)
  const lastPartial = reader.events.findIndex(({ metadata }) => metadata.polyphony.partial === undefined)
  expect(lastPartial).toBeGreaterThan(5)
  const replay = new TestReader()
  for (const frame of reader.frames.slice(0, lastPartial + 1)) replay.write(frame)
  expect(replay.state).toEqual(atFirst)
  expect(reader.state).toEqual(document.state)
  expect(other.state).toEqual(document.state)
  expect(other.frames[3]).toBe(reader.frames[3])
  expect(reader.kinds.filter((kind) => kind === 'STATE_SNAPSHOT')).toHaveLength(1)
})

test('a large snapshot serves later readers too, with what changed since', async () => {
  const { document, clock, feed, edit } = setup({ largeSnapshotKeptMs: 60_000 })
  large(document)
  const first = new TestReader()
  feed.subscribe(first)
  await clock.pass(100)
  edit(() => document.set('late', 1))
  await clock.pass(30_000)
  const second = new TestReader()
  let flushed = false
  void feed
    .subscribe(second)
    .flush()
    .then(() => (flushed = true))
  await clock.pass(0)
  expect(second.frames[0]).toBe(first.frames[0])
  expect(second.kinds).toEqual(['STATE_SNAPSHOT', 'STATE_DELTA'])
  expect(second.state).toEqual(document.state)
  expect(flushed).toBe(true)
  await clock.pass(120_000)
  const third = new TestReader()
  feed.subscribe(third)
  await clock.pass(100)
  expect(third.kinds).toEqual(['STATE_SNAPSHOT'])
})

test('a snapshot whose version is no longer retained is begun anew', async () => {
  const { document, clock, feed } = setup({ frameBytesMax: 20_000 })
  large(document)
  const reader = new TestReader()
  feed.subscribe(reader)
  await turn()
  expect(reader.frames.length).toBeGreaterThan(0)
  // The view of the test retains 1,000 versions.
  for (let index = 0; index < 1_100; index++) document.set('busy', index)
  await clock.pass(1_000)
  expect(reader.kinds.filter((kind) => kind === 'STATE_SNAPSHOT')).toHaveLength(2)
  expect(reader.error).toBeUndefined()
  expect(reader.state).toEqual(document.state)
})

test('snapshots of all feeds share one budget; beyond it, new ones are refused until readers have taken theirs', async () => {
  const memory = new SnapshotMemory(2_500_000)
  const join = async (room: number) => {
    const document = new TestDocument()
    const clock = new ManualClock()
    large(document)
    const reader = new TestReader()
    reader.room = room
    const feed = new StateFeed(document, {
      clock,
      telemetry: silentTelemetry,
      memory,
      options: { frameBytesMax: 100_000 },
    })
    const subscription = feed.subscribe(reader)
    await clock.pass(100)
    return { document, reader, subscription }
  }
  // What has been read is kept only as long as there is room.
  const one = await join(Infinity)
  const two = await join(1)
  expect(one.reader.state).toEqual(one.document.state)
  const three = await join(1)
  expect(three.reader.error).toBeUndefined()
  const four = await join(Infinity)
  expect(four.reader.error).toMatchObject({ code: 'overloaded' })
  two.subscription.close()
  const five = await join(Infinity)
  expect(five.reader.state).toEqual(five.document.state)
  for (const { subscription } of [one, three, five]) subscription.close()
  expect(memory.bytes).toBe(0)
})

test('a string beyond the frame limit ends the feed with a reason', async () => {
  const { document, clock, feed } = setup({ frameBytesMax: 20_000 })
  document.set('text', 'x'.repeat(30_000))
  const reader = new TestReader()
  feed.subscribe(reader)
  await clock.pass(0)
  expect(reader.error).toMatchObject({ code: 'document-too-large' })
})

test('flush settles once the newest state is written', async () => {
  const { document, feed } = setup()
  const reader = new TestReader()
  const subscription = feed.subscribe(reader)
  document.set('a', 1)
  await subscription.flush()
  expect(reader.state).toEqual({ a: 1 })
  document.set('a', 2)
  await subscription.flush()
  expect(reader.state).toEqual({ a: 2 })
  subscription.close()
  await subscription.flush()
})

test('a document that closes ends its feeds once', async () => {
  const { clock, feed } = setup()
  const reader = new TestReader()
  const subscription = feed.subscribe(reader)
  await clock.pass(0)
  feed.fail(new PolyphonyError('document-deleted', 'gone'))
  expect(reader.error).toMatchObject({ code: 'document-deleted' })
  expect(feed.readerCount).toBe(0)
  await subscription.flush()
})

type Step =
  | { readonly type: 'set'; readonly key: string; readonly value: number }
  | { readonly type: 'insert'; readonly at: number }
  | { readonly type: 'remove' }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'join' | 'leave' | 'rejoin' | 'drain' | 'block'; readonly reader: number }

test('whoever joins, leaves, comes back or is slow, in the end everybody holds the state', async () => {
  const reader = fc.nat(5)
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ type: fc.constant('set' as const), key: fc.constantFrom('a', 'b', 'c'), value: fc.nat(3) }),
    fc.record({ type: fc.constant('insert' as const), at: fc.nat(9) }),
    fc.record({ type: fc.constant('remove' as const) }),
    fc.record({ type: fc.constant('pass' as const), ms: fc.constantFrom(0, 10, 100, 5_000) }),
    fc.record({ type: fc.constantFrom('join', 'leave', 'rejoin', 'drain', 'block'), reader }),
  )
  let frames = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 120 }), async (steps) => {
      const { document, clock, feed, edit } = setup({
        repair: { intervalMsMin: 2_000, bytesPerSecond: 10_000 },
      })
      document.set('list', [])
      const versions = new Map<string, typeof document.view.version>()
      const readers = new Map<
        number,
        { target: TestReader; subscription: ReturnType<typeof feed.subscribe> }
      >()
      const left = new Map<number, TestReader>()
      const join = (index: number, target: TestReader): void => {
        const since = target.version === undefined ? undefined : versions.get(target.version)
        readers.set(index, { target, subscription: feed.subscribe(target, since) })
      }
      const drain = (index: number): void => {
        const known = readers.get(index)
        if (known === undefined) return
        known.target.room = Infinity
        known.subscription.drained()
      }
      for (const each of steps) {
        if (each.type === 'set') edit(() => document.set(each.key, each.value))
        else if (each.type === 'insert') {
          const { length } = (document.state as { list: unknown[] }).list
          edit(
            () =>
              void document.view.apply([
                { op: 'add', path: `/list/${each.at % (length + 1)}`, value: each.at },
              ]),
          )
        } else if (each.type === 'remove') {
          if ((document.state as { list: unknown[] }).list.length > 0)
            edit(() => void document.view.apply([{ op: 'remove', path: '/list/0' }]))
        } else if (each.type === 'pass') await clock.pass(each.ms)
        else if (each.type === 'join') {
          if (!readers.has(each.reader)) join(each.reader, new TestReader())
        } else if (each.type === 'leave') {
          const known = readers.get(each.reader)
          if (known !== undefined) left.set(each.reader, known.target)
          known?.subscription.close()
          readers.delete(each.reader)
        } else if (each.type === 'rejoin') {
          const before = left.get(each.reader)
          if (before === undefined || readers.has(each.reader)) continue
          before.room = Infinity
          left.delete(each.reader)
          join(each.reader, before)
        } else if (each.type === 'drain') drain(each.reader)
        else {
          const known = readers.get(each.reader)
          if (known !== undefined && known.target.room > 1) known.target.room = 1
        }
        versions.set(document.formatVersion(document.view.version), document.view.version)
        await turn()
      }
      for (const index of readers.keys()) drain(index)
      await clock.pass(10_000)
      for (const { target } of readers.values()) {
        expect(target.error).toBeUndefined()
        expect(target.state).toEqual(document.state)
        frames += target.frames.length
      }
    }),
    { seed: 20261124, numRuns: 300 },
  )
  expect(frames).toBeGreaterThan(1_000)
})

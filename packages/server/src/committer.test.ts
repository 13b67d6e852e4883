import { PolyphonyError, silentLogger, silentTelemetry } from '@polyphony/core'
import {
  MemoryStore,
  type Append,
  type AppendResult,
  type DocumentStore,
  type NewEntry,
} from '@polyphony/storage'
import { beforeEach, describe, expect, test } from 'vitest'
import { SeededRandom } from '../test/simulation/seeded-random.ts'
import { VirtualClock } from '../test/simulation/virtual-clock.ts'
import { Committer, type CommitSource } from './committer.ts'

/** A document that hands out numbered entries, and notes what it hears. */
class Source implements CommitSource {
  readonly documentId: string
  readonly heard: string[] = []
  readonly waiting: NewEntry[] = []
  incarnation: string | undefined
  isClosed = false
  retries = true

  constructor(documentId: string) {
    this.documentId = documentId
  }

  add(...numbers: readonly number[]): void {
    for (const number of numbers)
      this.waiting.push({ update: new Uint8Array([number]), meta: { author: 'a', committedAtMs: 0 } })
  }

  takeEntries(bytesMax: number): readonly NewEntry[] {
    return this.waiting.splice(0, Math.max(1, bytesMax))
  }

  committed(entries: readonly NewEntry[], first: number, incarnation: string): void {
    this.incarnation = incarnation
    this.heard.push(`${entries.map(({ update }) => update[0]).join(',')} at ${first}`)
  }

  commitFailed(_entries: readonly NewEntry[], { code }: PolyphonyError): boolean {
    this.heard.push(code)
    return this.retries
  }

  commitStalled(): void {
    this.heard.push('stalled')
  }
}

describe('Committer', () => {
  let clock: VirtualClock
  let appends: (readonly Append[])[]
  let answer: (batch: readonly Append[]) => Promise<readonly AppendResult[]>
  let inner: MemoryStore
  let committer: Committer

  beforeEach(() => {
    clock = new VirtualClock()
    appends = []
    inner = new MemoryStore({ clock, random: new SeededRandom(1) })
    answer = (batch) => inner.append(batch)
    const store = new Proxy<DocumentStore>(inner, {
      get: (target, key) =>
        key === 'append'
          ? (batch: readonly Append[]) => {
              appends.push(batch)
              return answer(batch)
            }
          : Reflect.get(target, key, target),
    })
    committer = new Committer({
      store,
      clock,
      random: new SeededRandom(2),
      logger: silentLogger,
      telemetry: silentTelemetry,
    })
  })

  /** Lets everything happen that can happen now. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  async function storedIn(documentId: string): Promise<number[]> {
    const stored: number[] = []
    for await (const item of inner.read(documentId)) if ('update' in item) stored.push(item.update[0] ?? -1)
    return stored
  }

  test('what arrives together is written together, each document in order', async () => {
    const [one, two] = [new Source('one'), new Source('two')]
    one.add(1, 2)
    committer.notify(one)
    two.add(3)
    committer.notify(two)
    await committer.drain()
    expect(appends.length).toBe(1)
    one.add(4)
    committer.notify(one)
    await committer.drain()
    expect([one.heard, two.heard]).toEqual([['1,2 at 1', '4 at 3'], ['3 at 1']])
  })

  test('a document is in one batch at a time, and what it queues meanwhile follows', async () => {
    const source = new Source('one')
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    answer = async (batch) => {
      await gate
      return inner.append(batch)
    }
    source.add(1)
    committer.notify(source)
    await settle()
    source.add(2)
    committer.notify(source)
    await settle()
    expect(appends.length).toBe(1)
    open()
    await committer.drain()
    expect(source.heard).toEqual(['1 at 1', '2 at 2'])
  })

  test('the same bytes are tried again before anything newer, and other documents go on', async () => {
    const [bad, good] = [new Source('bad'), new Source('good')]
    answer = async (batch) => {
      if (appends.length > 3) return inner.append(batch)
      const result = await inner.append(batch.filter(({ documentId }) => documentId !== 'bad'))
      return batch.map(({ documentId }) =>
        documentId === 'bad' ? { ok: false, error: new PolyphonyError('store-failed', 'no') } : result[0]!,
      )
    }
    bad.add(1)
    good.add(9)
    committer.notify(bad)
    committer.notify(good)
    await settle()
    bad.add(2)
    committer.notify(bad)
    expect([good.heard, committer.failing]).toEqual([['9 at 1'], true])
    while (committer.failing) {
      clock.runNext(60_000)
      await settle()
    }
    await committer.drain()
    expect(bad.heard).toEqual(['store-failed', 'store-failed', 'store-failed', '1 at 1', '2 at 2'])
    expect(await storedIn('bad')).toEqual([1, 2])
  })

  test('an answer that was lost makes equal bytes stand twice, in order', async () => {
    const source = new Source('one')
    answer = async (batch) => {
      const results = await inner.append(batch)
      if (appends.length === 1) throw new Error('connection lost')
      return results
    }
    source.add(1, 2)
    committer.notify(source)
    await settle()
    source.add(3)
    committer.notify(source)
    while (committer.failing) {
      clock.runNext(60_000)
      await settle()
    }
    await committer.drain()
    expect(source.heard).toEqual(['store-failed', '1,2 at 3', '3 at 5'])
    expect(await storedIn('one')).toEqual([1, 2, 1, 2, 3])
  })

  test('while the store gives no answer, documents are told, and nothing is written twice', async () => {
    const source = new Source('one')
    let open: () => void = () => undefined
    answer = async (batch) => {
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return inner.append(batch)
    }
    source.add(1)
    committer.notify(source)
    await settle()
    for (let i = 0; i < 3; i++) clock.runNext(10_000)
    expect(source.heard).toEqual(['stalled', 'stalled', 'stalled'])
    expect([committer.failing, appends.length]).toEqual([true, 1])
    open()
    await committer.drain()
    expect(source.heard.at(-1)).toBe('1 at 1')
    expect(committer.failing).toBe(false)
    expect(clock.runNext(60_000)).toBe(false)
  })

  test('a document that is closed or gives up is not tried again, and stops nobody', async () => {
    const [closed, refused] = [new Source('closed'), new Source('refused')]
    answer = async () => {
      throw new Error('down')
    }
    closed.add(1)
    refused.add(2)
    refused.retries = false
    committer.notify(closed)
    committer.notify(refused)
    await settle()
    closed.isClosed = true
    let isSettled = false
    void committer.settled(closed).then(() => {
      isSettled = true
    })
    await settle()
    expect([isSettled, appends.length]).toEqual([false, 1])
    clock.runNext(60_000)
    await committer.drain()
    await settle()
    expect([isSettled, appends.length, committer.failing]).toEqual([true, 1, false])
    expect([closed.heard, refused.heard]).toEqual([['store-failed'], ['store-failed']])
  })

  test('a store that leaves a document out of its answer has failed for it', async () => {
    const source = new Source('one')
    answer = async (batch) => (appends.length === 1 ? [] : inner.append(batch))
    source.add(1)
    committer.notify(source)
    await settle()
    clock.runNext(60_000)
    await committer.drain()
    expect(source.heard).toEqual(['store-failed', '1 at 1'])
  })
})

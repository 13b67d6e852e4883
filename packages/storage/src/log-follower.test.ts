import { PolyphonyError, silentLogger, type Clock, type Random } from '@polyphony/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogEntry } from './document-store.ts'
import { LogFollower } from './log-follower.ts'
import type { LogTail, TailRequest, TailSource } from './log-tail.ts'

/** A clock whose timers run when they are told to. */
class ManualClock implements Clock {
  readonly tasks = new Set<() => void>()
  now(): number {
    return 0
  }
  after(_ms: number, task: () => void): () => void {
    this.tasks.add(task)
    return () => this.tasks.delete(task)
  }
  /** Runs everything that waits for its time. */
  strike(): void {
    const due = [...this.tasks]
    this.tasks.clear()
    for (const task of due) task()
  }
}

const random: Random = { uint32: () => 1, hex: (bytes) => '0'.repeat(bytes * 2) }

/** One log, as a store has it, that can lose its tail. Reads give at most two entries and can be made to fail. */
class SlowLog implements TailSource {
  incarnation = 'one'
  continues: string | undefined
  entries: { readonly entry: LogEntry; readonly mark: string }[] = []
  failures = 0
  reads = 0
  #marks = 0

  append(count: number): { readonly mark: string; readonly entries: readonly LogEntry[] } {
    const mark = `mark ${++this.#marks}`
    const entries = Array.from({ length: count }, (): LogEntry => {
      const entry = makeEntry(this.entries.length + 1, mark)
      this.entries.push({ entry, mark })
      return entry
    })
    return { mark, entries }
  }

  loseTail(revision: number): void {
    this.entries = this.entries.slice(0, revision)
  }

  async readTails(requests: readonly TailRequest[]): Promise<readonly (LogTail | PolyphonyError)[]> {
    this.reads++
    await Promise.resolve()
    if (this.failures > 0) {
      this.failures--
      throw new PolyphonyError('store-failed', 'made to fail')
    }
    return requests.map(({ after, seen }): LogTail => {
      const { incarnation, continues } = this
      const there = this.entries[(seen?.revision ?? 0) - 1]
      const isOther = seen?.mark !== undefined && there !== undefined && there.mark !== seen.mark
      if (seen?.incarnation === incarnation && (seen.revision > this.entries.length || isOther))
        return { state: 'broken', incarnation }
      const page = this.entries.slice(after, after + 2)
      const entries = page.map(({ entry }) => entry)
      return {
        state: 'open',
        incarnation,
        continues,
        revision: this.entries.length,
        first: 1,
        entries,
        mark: page.at(-1)?.mark,
      }
    })
  }

  async renew(_documentId: string, incarnation: string): Promise<void> {
    if (incarnation !== this.incarnation) return
    this.continues = incarnation
    this.incarnation = `${incarnation}'`
  }
}

function makeEntry(revision: number, author: string): LogEntry {
  return { revision, update: Uint8Array.of(revision), meta: { author, committedAtMs: 0 } }
}

function follow(log: SlowLog): { readonly clock: ManualClock; readonly follower: LogFollower } {
  const clock = new ManualClock()
  return {
    clock,
    follower: new LogFollower({ source: log, clock, random, logger: silentLogger, pollMs: 1000 }),
  }
}

/** Lets everything happen that needs no timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await Promise.resolve()
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('own' as const),
      count: fc.integer({ min: 1, max: 4 }),
      late: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('foreign' as const),
      count: fc.integer({ min: 1, max: 4 }),
      notify: fc.nat(2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('fail' as const), times: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('strike' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle' as const) }) },
)

describe('LogFollower', () => {
  test('delivers every entry once and in order, whatever is lost, repeated, late or failing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(3), async (steps, before) => {
        const log = new SlowLog()
        if (before > 0) log.append(before)
        const { clock, follower } = follow(log)
        const heard: LogEntry[] = []
        await follower.subscribe('doc', 0, (entries) => heard.push(...entries))
        const late: (() => void)[] = []
        for (const current of steps) {
          switch (current.kind) {
            case 'own': {
              const own = log.append(current.count)
              const offer = (): void => follower.offer('doc', { incarnation: 'one', ...own })
              if (current.late) late.unshift(offer)
              else offer()
              break
            }
            case 'foreign':
              log.append(current.count)
              for (let times = 0; times < current.notify; times++)
                follower.wake('doc', { incarnation: 'one', revision: log.entries.length })
              break
            case 'fail':
              log.failures = current.times
              break
            case 'strike':
              clock.strike()
              break
            case 'settle':
              await settle()
          }
        }
        for (const offer of late) offer()
        // The look that makes up for whatever was lost, and one for each read that is made to fail.
        for (let looks = 0; looks < 6; looks++) {
          clock.strike()
          await settle()
        }
        expect(heard).toEqual(log.entries.map(({ entry }) => entry))
        follower.close(new PolyphonyError('store-closed', 'closed'))
      }),
      { seed: 20_261_124, numRuns: 300 },
    )
  })

  test('takes own entries over without reading, and reads nothing for a notification of what it has', async () => {
    const log = new SlowLog()
    const { follower } = follow(log)
    const heard: number[] = []
    await follower.subscribe('doc', 0, (entries) => heard.push(...entries.map(({ revision }) => revision)))
    await settle()
    const { reads } = log
    for (let round = 0; round < 10; round++) {
      follower.offer('doc', { incarnation: 'one', ...log.append(3) })
      follower.wake('doc', { incarnation: 'one', revision: log.entries.length })
      await settle()
    }
    expect(heard.length).toBe(30)
    expect(log.reads).toBe(reads)
  })

  test.each(['shorter', 'as long, with other entries'])(
    'a log that is %s than what was seen ends the subscription',
    async (how) => {
      const log = new SlowLog()
      const { clock, follower } = follow(log)
      const ended: PolyphonyError[] = []
      const heard: LogEntry[] = []
      await follower.subscribe('doc', 0, (entries) => heard.push(...entries), {
        ended: (reason) => ended.push(reason),
      })
      follower.offer('doc', { incarnation: 'one', ...log.append(4) })
      await settle()
      expect(heard.length).toBe(4)
      log.loseTail(2)
      if (how !== 'shorter') log.append(5)
      clock.strike()
      await settle()
      expect(ended.map(({ code, details }) => [code, details.extra])).toEqual([
        ['incarnation-mismatch', { tailLost: true }],
      ])
      expect(heard.length).toBe(4)
      expect(log.incarnation).toBe("one'")
      // Who comes with the old incarnation learns the same.
      await expect(
        follower.subscribe('doc', 4, () => undefined, { incarnation: 'one' }),
      ).rejects.toMatchObject({
        code: 'incarnation-mismatch',
        details: { extra: { tailLost: true } },
      })
    },
  )

  test('a listener that throws ends its own subscription and no other', async () => {
    const log = new SlowLog()
    const { follower } = follow(log)
    const ended: string[] = []
    const heard: LogEntry[] = []
    const breakDown = (): void => {
      throw new Error('broken listener')
    }
    await follower.subscribe('doc', 0, breakDown, { ended: ({ code }) => ended.push(code) })
    await follower.subscribe('doc', 0, (entries) => heard.push(...entries))
    await settle()
    for (let round = 0; round < 2; round++) follower.offer('doc', { incarnation: 'one', ...log.append(1) })
    await settle()
    expect(ended).toEqual(['internal'])
    expect(heard.length).toBe(2)
  })

  test('close ends every subscription once, and refuses new ones', async () => {
    const { follower } = follow(new SlowLog())
    const ended: string[] = []
    const options = { ended: ({ code }: PolyphonyError) => ended.push(code) }
    const leave = await follower.subscribe('left', 0, () => undefined, options)
    await leave()
    await follower.subscribe('doc', 0, () => undefined, options)
    const starting = follower.subscribe('doc', 0, () => undefined, options)
    const closed = new PolyphonyError('store-closed', 'closed')
    follower.close(closed)
    follower.close(closed)
    await expect(starting).rejects.toBe(closed)
    expect(ended).toEqual(['store-closed'])
  })
})

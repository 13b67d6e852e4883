import { IdSet, PolyphonyError, silentLogger, silentTelemetry, resolveLimits, Turns } from '@polyphony/core'
import type { JsonView } from '@polyphony/translator'
import { beforeEach, describe, expect, test } from 'vitest'
import { SeededRandom } from '../test/simulation/seeded-random.ts'
import { VirtualClock } from '../test/simulation/virtual-clock.ts'
import { DocumentLog } from './document-log.ts'
import { Frontier } from './frontier.ts'
import { ReplicaKeeper, type ReplicaChange } from './replica-keeper.ts'
import { readUpdate } from './update-reader.ts'

const limits = resolveLimits()
const lost = new PolyphonyError('outcome-unknown', 'lost')

describe('ReplicaKeeper', () => {
  let clock: VirtualClock
  let log: DocumentLog
  let frontier: Frontier
  let keeper: ReplicaKeeper
  let clientId: number
  let changes: { readonly change: ReplicaChange; readonly resolve: (revision: number) => void }[]

  beforeEach(() => {
    clock = new VirtualClock()
    log = new DocumentLog()
    frontier = new Frontier(limits)
    clientId = new SeededRandom(3).uint32()
    changes = []
    keeper = new ReplicaKeeper({
      log,
      base: { load: async () => undefined, use: () => undefined },
      clock,
      turns: new Turns(clock),
      logger: silentLogger,
      telemetry: silentTelemetry,
      clientId: () => clientId,
      projection: {},
      onImpliedDeletes: (deletes) => log.addImpliedDeletes(deletes),
    })
  })

  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const readAll = (): Promise<unknown> => keeper.read((view) => view.read())
  const set = (key: string, value: string) => (view: JsonView) =>
    void view.apply([{ op: 'add', path: `/${key}`, value }])

  /** Leaves an edit waiting for `commitNext`. */
  function edit(plan: (view: JsonView) => void): Promise<{ revision: number; changed: boolean }> {
    return keeper.edit(plan, (change) => new Promise<number>((resolve) => changes.push({ change, resolve })))
  }

  /** Brings the oldest edit that waits into the log, as a room does. */
  function commitNext(): void {
    const next = changes.shift()
    if (next === undefined) throw new Error('Nothing waits')
    const { update, madeBy } = next.change
    const { fresh } = frontier.admit(readUpdate(update, limits, false))
    const entry = {
      revision: log.revision + 1,
      update,
      increment: fresh?.increment ?? { clocks: new Map(), deletes: new IdSet() },
      committedAtMs: clock.now(),
    }
    log.append(entry)
    keeper.advance(entry, [madeBy])
    next.resolve(entry.revision)
  }

  test('nothing is read from a replica that holds what is not committed; edits that arrive wait for the next batch', async () => {
    const first = edit(set('a', '1'))
    await settle()
    const seen: unknown[] = []
    const reading = readAll().then((json) => seen.push(json))
    const second = edit(set('b', '2'))
    await settle()
    expect([seen, changes.length]).toEqual([[], 1])
    commitNext()
    await reading
    expect(seen).toEqual([{ a: '1' }])
    await settle()
    commitNext()
    expect([await first, await second].map(({ revision }) => revision)).toEqual([1, 2])
    expect(await readAll()).toEqual({ a: '1', b: '2' })
  })

  test('edits that arrive together are one batch, and a no-op is answered together with it', async () => {
    const outcomes = [edit(set('a', '1')), edit(set('a', '1')), edit(set('b', '2'))]
    await settle()
    expect(changes.length).toBe(2)
    commitNext()
    commitNext()
    expect((await Promise.all(outcomes)).map(({ revision, changed }) => [revision, changed])).toEqual([
      [1, true],
      [2, false],
      [2, true],
    ])
  })

  test('a plan that fails half-way leaves no trace, and those behind it are carried out', async () => {
    const failed = edit((view) => {
      set('half', 'x')(view)
      throw new Error('half-way')
    })
    const good = edit(set('a', '1'))
    await expect(failed).rejects.toThrow('half-way')
    await settle()
    commitNext()
    expect((await good).revision).toBe(1)
    expect(await readAll()).toEqual({ a: '1' })
  })

  test('an edit for which there is no room leaves no trace', async () => {
    const refused = keeper.edit(set('a', '1'), () => {
      throw new PolyphonyError('overloaded', 'full')
    })
    const good = edit(set('b', '2'))
    await expect(refused).rejects.toThrow('full')
    await settle()
    commitNext()
    await good
    expect(await readAll()).toEqual({ b: '2' })
  })

  test('giving up answers everybody who waits, and reads go on from what is committed', async () => {
    const edits = [edit(set('a', '1')), edit(set('a', '1'))]
    await settle()
    edits.push(edit(set('b', '2')))
    const reading = readAll()
    clientId++
    keeper.abandon(lost)
    for (const outcome of edits) await expect(outcome).rejects.toBe(lost)
    expect(await reading).toEqual({})
    const under = edit((view) => {
      expect(view.doc.clientID).toBe(clientId)
      set('c', '3')(view)
    })
    await settle()
    // What was given up is stored all the same, before the next edit.
    commitNext()
    commitNext()
    await under
    expect(await readAll()).toEqual({ a: '1', c: '3' })
  })

  test('closing tells those whose edit is being stored something else than those who wait', async () => {
    const written = edit(set('a', '1'))
    const noOp = edit(set('a', '1'))
    await settle()
    const waiting = edit(set('b', '2'))
    const reading = readAll()
    const closed = new PolyphonyError('shutting-down', 'closed')
    keeper.close(closed, lost)
    await expect(written).rejects.toBe(lost)
    await expect(noOp).rejects.toBe(lost)
    await expect(waiting).rejects.toBe(closed)
    await expect(reading).rejects.toBe(closed)
    await expect(edit(set('c', '3'))).rejects.toBe(closed)
    await expect(readAll()).rejects.toBe(closed)
  })

  test('a replica that nobody uses is dropped, and made again from the log', async () => {
    const views = new Set<JsonView>()
    const note = (): Promise<unknown> => keeper.read((view) => views.add(view))
    await note()
    const outcome = edit(set('a', '1'))
    await settle()
    commitNext()
    await outcome
    await note()
    expect(views.size).toBe(1)
    for (let i = 0; i < 10; i++) clock.runNext(30_000)
    expect(await readAll()).toEqual({ a: '1' })
    await note()
    expect(views.size).toBe(2)
  })
})

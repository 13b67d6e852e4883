import {
  isPolyphonyError,
  PolyphonyError,
  resolveLimits,
  silentLogger,
  silentTelemetry,
  type Telemetry,
} from '@polyphony/core'
import {
  isCheckpoint,
  MemoryDisk,
  SharedMemoryStore,
  type AppendResult,
  type DocumentStore,
  type LogEntry,
} from '@polyphony/storage'
import type { JsonView } from '@polyphony/translator'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { compact } from '../src/compaction.ts'
import type { DocumentHandle, EditOutcome } from '../src/document-handle.ts'
import { preconditionFailed } from '../src/preconditions.ts'
import { Rooms } from '../src/rooms.ts'
import { SeededRandom } from './simulation/seeded-random.ts'
import { VirtualClock } from './simulation/virtual-clock.ts'
import { soak } from './support/fixtures.ts'

const documentId = 'shared'
const seeds = soak ? 300 : 8
const steps = 120

/** One edit that was asked for, and what became of it on each node that was asked. */
interface Asked {
  readonly kind: 'plain' | 'exact' | 'keyed' | 'update'
  readonly value: string
  /** The revision that an exact edit has to follow. */
  readonly follows?: number
  readonly outcomes: (EditOutcome<unknown> | { readonly error: unknown })[]
}

/** A cluster of nodes on one store that is slow, fails, and reports failures of what it carried out. */
class Cluster {
  readonly clock = new VirtualClock()
  readonly random: SeededRandom
  readonly disk = new MemoryDisk()
  readonly counts = new Map<string, number>()
  readonly asked: Asked[] = []
  readonly nodes: Rooms[] = []
  readonly handles: DocumentHandle[] = []
  isFaulty = true

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  async addNode(): Promise<void> {
    const rooms = new Rooms({
      store: this.#unreliable(
        new SharedMemoryStore({ disk: this.disk, clock: this.clock, random: this.random }),
      ),
      compactor: { compact: async (updates) => compact(updates), close: async () => undefined },
      clock: this.clock,
      random: this.random,
      limits: resolveLimits({ storeGiveUpMs: 1_000_000_000 }),
      logger: silentLogger,
      telemetry: this.#telemetry(),
      projection: () => ({}),
    })
    this.nodes.push(rooms)
    this.handles.push(await rooms.open(documentId))
  }

  ask(): void {
    const value = `v${this.asked.length}`
    const kind = this.random.pick(['plain', 'exact', 'exact', 'keyed', 'keyed', 'update'] as const)
    const handle = this.random.pick(this.handles)
    const outcomes: Asked['outcomes'] = []
    const note = (done: Promise<EditOutcome<unknown>>): void =>
      void done.then(
        (outcome) => outcomes.push(outcome),
        (error: unknown) => outcomes.push({ error }),
      )
    const author = { author: value }
    const add = (view: JsonView): unknown => view.apply([{ op: 'add', path: '/list/-', value }])
    if (kind === 'exact') {
      const follows = handle.revision
      this.asked.push({ kind, value, follows, outcomes })
      const plan = (view: JsonView): unknown => {
        if (view.version.revision !== follows || handle.hasQueued)
          throw preconditionFailed(documentId, 'planned late')
        return add(view)
      }
      note(handle.edit(author, plan, { exact: true }))
      return
    }
    this.asked.push({ kind, value, outcomes })
    if (kind === 'plain') note(handle.edit(author, add))
    else if (kind === 'update') {
      const doc = new Y.Doc()
      doc.clientID = this.random.uint32()
      doc.getArray('typed').push([value])
      const submitted = handle.submit(author, Y.encodeStateAsUpdate(doc))
      note(submitted.then(({ revision }) => ({ revision, changed: true, replayed: false })))
    } else {
      // One request that came to every node, and to one of them twice.
      for (const each of [...this.handles, handle])
        note(each.edit({ ...author, idempotencyKey: `key ${value}` }, add))
    }
  }

  async run(ms: number): Promise<void> {
    for (let more = true; more;) {
      more = this.clock.runNext(ms)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Runs until everybody has an answer and every node has the same log. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 2_000; turn++) {
      await this.run(100)
      const revisions = new Set(this.handles.map(({ revision }) => revision))
      const isAnswered = this.asked.every(
        ({ kind, outcomes }) => outcomes.length === (kind === 'keyed' ? this.handles.length + 1 : 1),
      )
      if (isAnswered && revisions.size === 1) return
    }
    throw new Error('The cluster does not come to rest')
  }

  async readLog(): Promise<readonly LogEntry[]> {
    const entries: LogEntry[] = []
    const store = new SharedMemoryStore({ disk: this.disk })
    for await (const item of store.read(documentId, { after: 0 })) if (!isCheckpoint(item)) entries.push(item)
    return entries
  }

  #telemetry(): Telemetry {
    return {
      ...silentTelemetry,
      count: (name, value = 1) => void this.counts.set(name, (this.counts.get(name) ?? 0) + value),
    }
  }

  #pause(msMax: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(this.random.int(msMax), resolve))
  }

  #unreliable(inner: SharedMemoryStore): DocumentStore {
    const overrides: Partial<DocumentStore> = {
      append: async (batch): Promise<readonly AppendResult[]> => {
        await this.#pause(8)
        const fault = this.isFaulty ? this.random.int(10) : 9
        if (fault === 0) throw new PolyphonyError('store-failed', 'The test made this append fail.')
        const results = await inner.append(batch)
        if (fault === 1) throw new PolyphonyError('store-failed', 'The test hid this answer.')
        await this.#pause(8)
        return results
      },
      subscribe: async (id, after, listener, options) => {
        let before: Promise<void> = Promise.resolve()
        return inner.subscribe(
          id,
          after,
          (entries, incarnation) => {
            const late = this.#pause(12)
            before = before.then(() => late).then(() => listener(entries, incarnation))
          },
          options,
        )
      },
    }
    return new Proxy<DocumentStore>(inner, {
      get: (target, key) => {
        const value: unknown = Reflect.get(overrides, key) ?? Reflect.get(target, key, target)
        return typeof value === 'function' && !(key in overrides) ? value.bind(target) : value
      },
    })
  }
}

const succeeded = ({ outcomes }: Asked): readonly EditOutcome<unknown>[] =>
  outcomes.flatMap((outcome) => ('error' in outcome ? [] : [outcome]))

test('on a shared store, edits that must follow a version do, and one key is one edit, whatever fails', async () => {
  const totals = { exact: 0, refused: 0, replayed: 0, lost: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      await runOnce(seed, totals)
    } catch (error) {
      throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
  // A run in which nobody got in anybody's way would prove nothing.
  for (const count of Object.values(totals)) expect(count).toBeGreaterThan(seeds)
}, 300_000)

async function runOnce(seed: number, totals: Record<string, number>): Promise<void> {
  const cluster = new Cluster(seed)
  for (let count = 0; count < 3; count++) await cluster.addNode()
  const seeded = cluster.handles[0]!.edit({ author: 'seed' }, (view) => view.assign({ list: [] }))
  while (cluster.handles.some(({ revision }) => revision === 0)) await cluster.run(5)
  await seeded
  for (let step = 0; step < steps; step++) {
    cluster.ask()
    if (cluster.random.chance(0.6)) await cluster.run(cluster.random.int(20))
  }
  cluster.isFaulty = false
  await cluster.settle()
  const log = await cluster.readLog()
  const states = await Promise.all(cluster.handles.map((handle) => handle.read((view) => view.read())))
  for (const state of states) expect(state).toEqual(states[0])
  const { list, typed } = states[0] as { list: string[]; typed?: string[] }
  const present = [...list, ...(typed ?? [])]
  for (const asked of cluster.asked) {
    const { kind, value, follows, outcomes } = asked
    const done = succeeded(asked)
    const written = log.filter(({ meta }) => meta.author === value)
    // Bytes whose fate was unknown are written again, which only plain ones may be: it changes nothing.
    if (kind === 'exact' || kind === 'keyed') expect(written.length).toBe(done.length === 0 ? 0 : 1)
    expect(present.filter((found) => found === value)).toEqual(done.length === 0 ? [] : [value])
    if (kind === 'exact') {
      totals['exact']! += done.length
      if (done.length === 1) expect(done[0]!.revision).toBe(follows! + 1)
      for (const outcome of outcomes) {
        if (!('error' in outcome)) continue
        expect(isPolyphonyError(outcome.error) && outcome.error.code).toBe('precondition-failed')
        totals['refused']! += 1
      }
    } else {
      expect(outcomes.filter((outcome) => 'error' in outcome)).toEqual([])
    }
    if (kind === 'keyed') {
      expect(new Set(done.map(({ revision }) => revision))).toEqual(new Set([written[0]!.revision]))
      expect(done.filter(({ replayed }) => !replayed).length).toBeLessThanOrEqual(1)
      totals['replayed']! += done.filter(({ replayed }) => replayed).length
    }
  }
  totals['lost']! += cluster.counts.get('polyphony_commit_races_lost_total') ?? 0
  for (const handle of cluster.handles) handle.release()
  const closed = Promise.all(cluster.nodes.map((node) => node.close(1_000)))
  await cluster.run(2_000)
  await closed
}

import { isDeepStrictEqual } from 'node:util'
import {
  PolyphonyError,
  isPolyphonyError,
  resolveLimits,
  silentLogger,
  silentTelemetry,
  type Limits,
} from '@polyphony/core'
import { isCheckpoint, MemoryStore, type RetentionPolicy } from '@polyphony/storage'
import { Version, toJson, type JsonPatch, type JsonValue, type JsonView } from '@polyphony/translator'
import fastJsonPatch from 'fast-json-patch'
import * as Y from 'yjs'
import { compact } from '../../src/compaction.ts'
import type { DocumentHandle } from '../../src/document-handle.ts'
import { Rooms } from '../../src/rooms.ts'
import { YWebsocketSession } from '../../src/y-websocket-session.ts'
import { SimulatedClient, updateIn } from './client.ts'
import { FaultyStore, noFaults, type FaultRates } from './faulty-store.ts'
import { LogOracle, mounts } from './log-oracle.ts'
import { SeededRandom } from './seeded-random.ts'
import { VirtualClock } from './virtual-clock.ts'
import { Wire } from './wire.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly steps: number
}

/** What a run did, so that a test can insist on real work. */
export interface SimulationCounts {
  clientEdits: number
  delivered: number
  serverEdits: number
  serverEditsUnknown: number
  serverEditsRefused: number
  replayed: number
  submits: number
  reads: number
  diffs: number
  saved: number
  crashes: number
  deletions: number
  refusals: number
  checkpoints: number
  storeFaults: number
  entries: number
}

interface Process {
  readonly rooms: Rooms
  readonly kill: () => void
}

/** A server-made edit, and what its author was told. */
interface ServerEdit {
  readonly author: string
  readonly documentId: string
  readonly key: string | undefined
  outcome: 'pending' | 'committed' | 'unchanged' | 'replayed' | 'unknown' | 'refused'
}

interface Seen {
  readonly incarnation: string
  readonly revision: number
  readonly json: JsonValue
}

const documentIds = ['one', 'two'] as const
/** Codes after which the edit may have been stored all the same. */
const unknownCodes = new Set(['outcome-unknown', 'document-deleted', 'incarnation-mismatch', 'internal'])

/**
 * Clients, a server process and a store that fails, all under one seed: the same seed gives the same run. `run` throws
 * as soon as a promise is broken.
 */
export class Simulation {
  readonly counts: SimulationCounts = {
    clientEdits: 0,
    delivered: 0,
    serverEdits: 0,
    serverEditsUnknown: 0,
    serverEditsRefused: 0,
    replayed: 0,
    submits: 0,
    reads: 0,
    diffs: 0,
    saved: 0,
    crashes: 0,
    deletions: 0,
    refusals: 0,
    checkpoints: 0,
    storeFaults: 0,
    entries: 0,
  }
  readonly #random: SeededRandom
  readonly #clock = new VirtualClock()
  readonly #store: FaultyStore
  readonly #limits: Limits
  readonly #faults: FaultRates
  readonly #steps: number
  readonly #retention: RetentionPolicy
  /** Of a thousand actions. */
  readonly #deletionRate: number
  readonly #crashRate: number
  readonly #clients: SimulatedClient[] = []
  /** Clients that are offline on purpose. */
  readonly #away = new Set<SimulatedClient>()
  readonly #edits: ServerEdit[] = []
  readonly #seen = new Map<string, Seen[]>()
  #process: Process
  #healing = false
  #failure: unknown

  constructor({ seed, steps }: SimulationOptions) {
    this.#random = new SeededRandom(seed)
    this.#steps = steps
    const random = this.#random
    const retention = { entries: random.pick([10, 1_000]), bytes: 1 << 20, ageMs: 1e9 }
    this.#retention = retention
    this.#store = new FaultyStore(
      new MemoryStore({ clock: this.#clock, random, retention }),
      this.#clock,
      random,
    )
    this.#limits = resolveLimits({
      queueBytesMax: random.pick([15_000, 64 << 20]),
      heldBytesMax: random.pick([300, 16 << 20]),
      storeGiveUpMs: random.pick([300, 3_000]),
      openDocumentsMax: 4,
    })
    const rate = random.pick([0, 0.02, 0.15])
    this.#faults = {
      appendFails: rate,
      appendLies: rate,
      documentFails: rate,
      appendHangs: random.pick([0, 0.03]),
      readFails: rate / 2,
      checkpointFails: rate,
      deleteFails: rate,
    }
    this.#deletionRate = random.pick([0, 0, 4])
    this.#crashRate = random.pick([0, 2, 6])
    this.#process = this.#start()
    const crowded = random.chance(0.5)
    for (let i = 0; i < 5; i++) {
      const documentId = documentIds[crowded ? Math.floor(i / 4) : i % documentIds.length] as string
      this.#clients.push(new SimulatedClient(`c${i}`, documentId, random))
    }
  }

  async run(): Promise<SimulationCounts> {
    this.#store.rates = this.#faults
    for (const client of this.#clients) this.#connect(client)
    for (let step = 0; step < this.#steps; step++) {
      await this.#act()
      await this.#settle()
    }
    if (this.#random.chance(0.3)) await this.#quiet()
    await this.#heal()
    await this.#compare()
    this.counts.clientEdits = this.#clients.reduce((sum, { edits }) => sum + edits, 0)
    this.counts.checkpoints = this.#store.counts.checkpoints
    this.counts.storeFaults = this.#store.counts.failures + this.#store.counts.lies + this.#store.counts.hangs
    return this.counts
  }

  /** Lets everything happen that can happen at this instant. */
  async #settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    this.#failure ??= this.#store.failure
    if (this.#failure !== undefined) throw this.#failure
  }

  async #act(): Promise<void> {
    const random = this.#random
    const dice = random.int(1_000)
    if (dice < 380) for (let i = random.int(4); i >= 0; i--) this.#deliverOne()
    else if (dice < 620) this.#clock.runNext(random.int(30))
    else if (dice < 720) this.#clientEdits()
    else if (dice < 745) random.pick(this.#clients).askSaved()
    else if (dice < 795) this.#relay()
    else if (dice < 855) this.#serverEdit()
    else if (dice < 870) this.#submit()
    else if (dice < 920) this.#read()
    else if (dice < 935) this.#comeOrGo()
    else if (dice < 945) this.#visit()
    else if (dice < 945 + this.#deletionRate) this.#delete()
    else if (dice < 970) this.#create()
    else if (dice < 972) await this.#quiet()
    else if (dice < 972 + this.#crashRate) this.#crash()
    else if (dice > 995) this.#clock.runNext(random.int(20_000))
    else this.#deliverOne()
  }

  #start(): Process {
    const { clock, kill: stopClock } = this.#clock.mortal()
    const { store, kill: stopStore } = this.#store.connect()
    const rooms = new Rooms({
      store,
      compactor: { compact: async (updates) => compact(updates), close: async () => undefined },
      clock,
      random: this.#random,
      limits: this.#limits,
      logger: { ...silentLogger, error: (fields, message) => this.#checkLog(fields, message) },
      telemetry: silentTelemetry,
      projection: () => ({ mounts }),
    })
    return {
      rooms,
      kill: () => {
        stopClock()
        stopStore()
      },
    }
  }

  // What clients do.

  #connect(client: SimulatedClient): void {
    if (client.wire !== undefined || this.#away.has(client)) return
    const wire = new Wire((frame) => this.#checkSent(client.documentId, frame))
    client.connected(wire)
    void this.#admit(client, wire, this.#process.rooms)
  }

  /** The server's side of a new connection, as the face that binds sockets does it. */
  async #admit(client: SimulatedClient, wire: Wire, rooms: Rooms): Promise<void> {
    try {
      const { room, leave } = await rooms.enter(client.documentId)
      if (wire.isCut) {
        leave()
        return
      }
      const session = new YWebsocketSession({
        room,
        socket: wire.serverSide,
        authorship: { author: client.name },
        readOnly: false,
        limits: this.#limits,
        logger: silentLogger,
      })
      wire.onGone = () => {
        session.end()
        leave()
      }
      session.start()
      wire.receive ??= (frame) => session.receive(frame)
    } catch (error) {
      if (!isPolyphonyError(error)) this.#fail(error)
      else wire.closeByServer(error.close, error.code)
    }
  }

  #disconnect(client: SimulatedClient, comesBack: boolean): void {
    const { wire } = client
    if (wire === undefined) return
    wire.cut()
    client.disconnected()
    // A server may learn much later that a connection is gone.
    this.#clock.after(this.#random.int(2_000), () => wire.onGone())
    if (comesBack) this.#reconnectLater(client)
  }

  #reconnectLater(client: SimulatedClient): void {
    const delay = Math.min(2_500, 100 * 2 ** client.attempts++)
    this.#clock.after(this.#healing ? 1_000 : delay, () => this.#connect(client))
  }

  /** Delivers the first frame that waits on some connection, in either direction. */
  #deliverOne(): boolean {
    const ready: (() => void)[] = []
    for (const client of this.#clients) {
      const { wire } = client
      if (wire === undefined) continue
      const { receive } = wire
      if (wire.toServer.length > 0 && receive !== undefined)
        ready.push(() => receive(wire.toServer.shift() as Uint8Array))
      if (wire.toClient.length > 0) ready.push(() => this.#deliverToClient(client, wire))
    }
    if (ready.length === 0) return false
    this.counts.delivered++
    this.#random.pick(ready)()
    return true
  }

  #deliverToClient(client: SimulatedClient, wire: Wire): void {
    const item = wire.toClient.shift()
    if (item === undefined) return
    if ('closed' in item) {
      const { code, reason } = item.closed
      this.counts.refusals++
      client.refusals.push(`${code} ${reason}`)
      if (code === 4400 || code === 1011 || code === 4413)
        throw new Error(`${client.name} was refused: ${code} ${reason}`)
      wire.cut()
      client.disconnected()
      wire.onGone()
      if (code === 4410) client.reset()
      this.#reconnectLater(client)
      return
    }
    const own = client.receive(item)
    if (own === undefined) return
    this.counts.saved++
    const lacks = this.#lacks(client.documentId, own)
    if (lacks !== undefined)
      throw new Error(`${client.name} was told that its edits are saved; the log lacks ${lacks}`)
  }

  #clientEdits(): void {
    const client = this.#random.pick(this.#clients)
    for (let i = this.#random.pick([1, 1, 2, 12]); i > 0; i--) client.edit()
  }

  #relay(): void {
    const from = this.#random.pick(this.#clients)
    const others = this.#clients.filter((other) => other !== from && other.documentId === from.documentId)
    if (others.length > 0) this.#random.pick(others).relay(from)
  }

  #comeOrGo(): void {
    const client = this.#random.pick(this.#clients)
    if (this.#away.delete(client)) this.#connect(client)
    else if (this.#random.chance(0.5)) this.#disconnect(client, true)
    else {
      this.#away.add(client)
      this.#disconnect(client, false)
    }
  }

  // What services and operators do.

  #serverEdit(): void {
    const documentId = this.#random.pick(documentIds)
    const retry = this.#random.chance(0.3)
      ? this.#edits.findLast((edit) => edit.key !== undefined && edit.documentId === documentId)
      : undefined
    const author = `edit-${this.#edits.length}`
    const key = retry?.key ?? (this.#random.chance(0.3) ? `key-${author}` : undefined)
    const edit: ServerEdit = { author, documentId, key, outcome: 'pending' }
    this.#edits.push(edit)
    const stale = this.#random.chance(0.3)
      ? this.#random.pick([...(this.#seen.get(documentId) ?? []), undefined])
      : undefined
    const kind = this.#random.int(10)
    void this.#use(documentId, async (handle) => {
      const at = stale?.incarnation === handle.incarnation ? new Version(stale.revision) : undefined
      try {
        const outcome = await handle.edit({ author, idempotencyKey: key }, (view) =>
          this.#plan(view, author, kind, at),
        )
        edit.outcome = outcome.replayed ? 'replayed' : outcome.changed ? 'committed' : 'unchanged'
        if (outcome.replayed) this.counts.replayed++
        const oracle = await this.#store.oracleOf(documentId)
        if (
          oracle !== undefined &&
          oracle.revision < outcome.revision &&
          this.#incarnationOf(handle) === oracle
        )
          throw new Error(`${author} was told revision ${outcome.revision}; the store has ${oracle.revision}`)
        this.counts.serverEdits++
      } catch (error) {
        edit.outcome = isPolyphonyError(error) && !unknownCodes.has(error.code) ? 'refused' : 'unknown'
        if (error instanceof PlannedFailure) edit.outcome = 'refused'
        else if (!isPolyphonyError(error) || error.code === 'internal') throw error
        if (edit.outcome === 'refused') this.counts.serverEditsRefused++
        else this.counts.serverEditsUnknown++
      }
    }).then(() => {
      // The document could not even be opened.
      if (edit.outcome === 'pending') edit.outcome = 'refused'
    })
  }

  /** A random JSON Patch; now and then one that cannot be carried out, or a plan that fails half-way. */
  #plan(view: JsonView, author: string, kind: number, at: Version | undefined): void {
    if (kind === 0) {
      view.apply([{ op: 'add', path: '/half', value: author }])
      throw new PlannedFailure()
    }
    if (kind === 1) view.apply([{ op: 'remove', path: '/certainly/not/there' }])
    const options = at === undefined ? {} : { at }
    const state = view.read(options)
    const patch: JsonPatch = patchOf(state, author, this.#random)
    view.apply(patch, options)
  }

  #submit(): void {
    const documentId = this.#random.pick(documentIds)
    const doc = new Y.Doc()
    doc.clientID = this.#random.uint32()
    doc.getArray('list').push([`submitted ${doc.clientID}`])
    const update = Y.encodeStateAsUpdate(doc)
    void this.#use(documentId, async (handle) => {
      await handle.submit({ author: 'service' }, update)
      this.counts.submits++
      const oracle = this.#incarnationOf(handle)
      const lacks = oracle?.lacks(update)
      if (lacks !== undefined) throw new Error(`A submitted update was acknowledged; the log lacks ${lacks}`)
    })
  }

  #read(): void {
    const documentId = this.#random.pick(documentIds)
    void this.#use(documentId, async (handle) => {
      await handle.read((view) => this.#checkView(handle, view))
      this.counts.reads++
    })
  }

  /** What a reader sees must be the log up to the revision that it is told, and diffs must lead from one to the other. */
  #checkView(handle: DocumentHandle, view: JsonView): void {
    const { documentId, incarnation } = handle
    const { revision } = view.version
    const json = view.read()
    const oracle = this.#incarnationOf(handle)
    const truth = (oracle ?? new LogOracle()).jsonAt(revision)
    if (!isDeepStrictEqual(json, truth))
      throw new Error(
        `The view of ${documentId} ${incarnation} at ${revision} of ${oracle?.revision} is ${JSON.stringify(json)}, the log says ${JSON.stringify(truth)}`,
      )
    const seen = this.#seen.get(documentId) ?? []
    for (const earlier of seen.slice(-3)) {
      if (earlier.incarnation !== incarnation) continue
      try {
        const then = view.read({ at: new Version(earlier.revision) })
        if (!isDeepStrictEqual(then, earlier.json))
          throw new Error(
            `${documentId} at ${earlier.revision} was ${JSON.stringify(earlier.json)}; now it is said to have been ` +
              JSON.stringify(then),
          )
        const patch = view.diff(new Version(earlier.revision))
        this.counts.diffs++
        const made = applied(patch, earlier.json)
        if (!isDeepStrictEqual(made, json))
          throw new Error(
            `The diff of ${documentId} from ${earlier.revision} to ${revision} is ${JSON.stringify(patch)}; ` +
              `it makes ${JSON.stringify(made)} of ${JSON.stringify(earlier.json)} instead of ${JSON.stringify(json)}`,
          )
      } catch (error) {
        if (!isPolyphonyError(error) || error.code !== 'revision-expired') throw error
      }
    }
    if (incarnation !== 'new')
      this.#seen.set(documentId, [...seen, { incarnation, revision, json: structuredClone(json) }])
  }

  /** Somebody looks at a document that nobody edits, so that the node gets full. */
  #visit(): void {
    void this.#use(`visited-${this.#random.int(6)}`, async (handle) => {
      await handle.read((view) => view.read())
    })
  }

  /** Runs a task with a handle; errors that a face would answer with are fine, everything else ends the run. */
  async #use(documentId: string, task: (handle: DocumentHandle) => Promise<void>): Promise<void> {
    let handle: DocumentHandle | undefined
    try {
      handle = await this.#process.rooms.open(documentId)
      await task(handle)
    } catch (error) {
      if (!isPolyphonyError(error) || error.code === 'internal') this.#fail(error)
    } finally {
      handle?.release()
    }
  }

  #delete(): void {
    this.counts.deletions++
    this.#process.rooms.delete(this.#random.pick(documentIds)).catch((error: unknown) => {
      if (!isPolyphonyError(error) || error.code === 'internal') this.#fail(error)
    })
  }

  #create(): void {
    this.#process.rooms.create(this.#random.pick(documentIds)).catch((error: unknown) => {
      if (!isPolyphonyError(error) || error.code === 'internal') this.#fail(error)
    })
  }

  /** Everybody leaves for so long that rooms are unloaded. */
  async #quiet(): Promise<void> {
    for (const client of this.#clients) this.#disconnect(client, false)
    for (let i = 0; i < 60; i++) {
      this.#clock.runNext(3_000)
      await this.#settle()
    }
    for (const client of this.#clients) this.#connect(client)
  }

  #crash(): void {
    this.counts.crashes++
    this.#process.kill()
    for (const client of this.#clients) {
      const { wire } = client
      if (wire === undefined) continue
      wire.cut()
      client.disconnected()
      this.#reconnectLater(client)
    }
    for (const edit of this.#edits) if (edit.outcome === 'pending') edit.outcome = 'unknown'
    this.#process = this.#start()
  }

  // What must hold.

  #incarnationOf({ documentId, incarnation }: DocumentHandle) {
    return this.#store.oracles.get(`${documentId} ${incarnation}`)
  }

  /** The server repairs itself after defects of its own; here they count. */
  #checkLog(fields: Readonly<Record<string, unknown>>, message: string): void {
    if (!message.startsWith('store does not answer'))
      this.#fail(new Error(`The server reports: ${message} ${JSON.stringify(fields)}`))
  }

  /** Nothing may be sent to anybody that is not in the store. */
  #checkSent(documentId: string, frame: Uint8Array): void {
    const update = updateIn(frame)
    const lacks = update === undefined ? undefined : this.#lacks(documentId, update)
    if (lacks !== undefined)
      this.#fail(new Error(`A client of ${documentId} was shown what is not stored: ${lacks}`))
  }

  /** What of an update no life of the document has. */
  #lacks(documentId: string, update: Uint8Array): string | undefined {
    let lacks: string | undefined = 'everything'
    for (const [key, oracle] of this.#store.oracles) {
      if (!key.startsWith(`${documentId} `)) continue
      lacks = oracle.lacks(update)
      if (lacks === undefined) return undefined
    }
    return Y.decodeUpdate(update).structs.length === 0 && lacks === 'everything' ? undefined : lacks
  }

  #fail(error: unknown): void {
    this.#failure ??= error
  }

  /** Everything works again, everybody comes back, and nobody does anything new. */
  async #heal(): Promise<void> {
    this.#healing = true
    this.#store.rates = noFaults
    this.#away.clear()
    for (const documentId of documentIds) await this.#recreate(documentId)
    for (const client of this.#clients) this.#connect(client)
    for (let round = 0; round < 20_000; round++) {
      const delivered = this.#deliverOne()
      await this.#settle()
      if (delivered) continue
      if (await this.#isQuiet()) return
      this.#clock.runNext(1_000)
      await this.#settle()
    }
    const clients = this.#clients.map((client) => {
      const { name, wire, synced, refusals } = client
      const waiting = [wire?.toServer.length, wire?.toClient.length].join('/')
      return `${name} ${wire === undefined ? 'away' : synced ? 'synced' : 'connected'} ${waiting} ${refusals.slice(-3).join(',')}`
    })
    const edits = this.#edits.filter(({ outcome }) => outcome === 'pending').map(({ author }) => author)
    throw new Error(`The system does not come to rest: ${clients.join('; ')}; pending: ${edits.join(', ')}`)
  }

  /** Lets time pass until a promise is settled. */
  async #drive<T>(what: string, promise: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    for (let i = 0; i < 10_000 && !settled; i++) {
      await this.#settle()
      if (!settled) this.#clock.runNext(1_000)
    }
    if (!settled) throw new Error(`${what} never ends`)
    return promise
  }

  async #recreate(documentId: string): Promise<void> {
    try {
      await this.#drive(`creating ${documentId}`, this.#process.rooms.create(documentId))
    } catch (error) {
      if (!isPolyphonyError(error) || error.code !== 'document-exists') throw error
    }
  }

  async #isQuiet(): Promise<boolean> {
    if (!this.#clients.every(({ wire, synced }) => wire !== undefined && synced)) return false
    if (this.#edits.some(({ outcome }) => outcome === 'pending')) return false
    for (const documentId of documentIds) if (!(await this.#roomOf(documentId)).isSettled) return false
    return !this.#process.rooms.committer.failing
  }

  async #roomOf(documentId: string) {
    const entered = this.#process.rooms.enter(documentId)
    const { room, leave } = await this.#drive(`opening ${documentId}`, entered)
    leave()
    return room
  }

  async #compare(): Promise<void> {
    for (const documentId of documentIds) {
      const oracle = await this.#store.oracleOf(documentId)
      if (oracle === undefined) throw new Error(`${documentId} is not there`)
      this.counts.entries += oracle.revision
      const room = await this.#roomOf(documentId)
      if (room.hasQueued) throw new Error(`The queue of ${documentId} is not empty`)
      const truth = fingerprint(oracle.doc)
      for (const client of this.#clients) {
        if (client.documentId !== documentId) continue
        same(`${client.name} in ${documentId}`, fingerprint(client.doc), truth)
        if (
          this.counts.deletions === 0 &&
          (client.doc.store.pendingStructs !== null || client.doc.store.pendingDs !== null)
        )
          throw new Error(`${client.name} has edits that wait for something`)
      }
      same(
        `the log of ${documentId} in memory`,
        fingerprint(docOf(await room.base.encodeDiff(new Map()))),
        truth,
      )
      same(`the stored log of ${documentId}`, fingerprint(await this.#stored(documentId)), truth)
      const read = this.#use(documentId, async (handle) => {
        await handle.read((view) => {
          this.#checkView(handle, view)
          same(`the view of ${documentId}`, view.read(), toJson(oracle.doc, { mounts }))
        })
      })
      await this.#drive(`reading ${documentId}`, read)
      await this.#settle()
    }
    for (const edit of this.#edits) this.#checkEdit(edit)
  }

  async #stored(documentId: string): Promise<Y.Doc> {
    const updates: Uint8Array[] = []
    const { store } = this.#store.connect()
    const read = async (): Promise<void> => {
      for await (const item of store.read(documentId)) {
        if (!isCheckpoint(item)) updates.push(item.update)
        else for await (const chunk of item.state) updates.push(chunk)
      }
    }
    await this.#drive(`reading the log of ${documentId}`, read())
    return docOf(updates)
  }

  /** An edit that was acknowledged is in the log once; one that was refused is not. */
  #checkEdit({ author, documentId, key, outcome }: ServerEdit): void {
    const versions = (
      matches: (entry: { author: string; idempotencyKey: string | undefined }) => boolean,
    ): number => {
      const distinct = new Set<string>()
      for (const [name, oracle] of this.#store.oracles) {
        if (!name.startsWith(`${documentId} `)) continue
        // Equal bytes may be written twice; that is how a lost answer is dealt with.
        for (const entry of oracle.entries)
          if (matches(entry)) distinct.add(Buffer.from(entry.update).toString('base64'))
      }
      return distinct.size
    }
    const count = versions((entry) => entry.author === author)
    const allowed = {
      committed: [1],
      unchanged: [0],
      replayed: [0],
      refused: [0],
      unknown: [0, 1],
      pending: [0, 1],
    }[outcome]
    if (!allowed.includes(count))
      throw new Error(`${author} was ${outcome}, and stands ${count} times in the log`)
    if (
      key !== undefined &&
      this.counts.deletions === 0 &&
      // Keys stand in the log, for as long as it is retained.
      this.#retention.entries === 1_000 &&
      versions((entry) => entry.idempotencyKey === key) > 1
    )
      throw new Error(`The edit with ${key} was carried out more than once`)
  }
}

/** Thrown by a plan on purpose. */
class PlannedFailure extends PolyphonyError {
  constructor() {
    super('invalid-patch', 'This plan fails half-way on purpose.')
  }
}

function patchOf(state: JsonValue, author: string, random: SeededRandom): JsonPatch {
  const { list } = state as { list?: readonly JsonValue[] }
  const keys = Object.keys(state as object).filter((key) => key.startsWith('k'))
  switch (random.int(6)) {
    case 0:
      if (keys.length > 0) return [{ op: 'remove', path: `/${random.pick(keys)}` }]
      break
    case 1:
      if (Array.isArray(list) && list.length > 0)
        return [{ op: 'remove', path: `/list/${random.int(list.length)}` }]
      break
    case 2:
      if (Array.isArray(list))
        return [{ op: 'add', path: `/list/${random.int(list.length + 1)}`, value: author }]
      break
    case 3:
      return [{ op: 'add', path: `/k${random.int(5)}`, value: { inner: author } }]
    case 4:
      if (keys.length > 0) {
        const key = random.pick(keys)
        return [{ op: 'replace', path: `/${key}`, value: (state as Record<string, JsonValue>)[key] ?? null }]
      }
      break
    default:
  }
  return [{ op: 'add', path: `/k${random.int(5)}`, value: author }]
}

/** What a client makes of a patch: an error as text when it cannot be applied. */
function applied(patch: JsonPatch, json: JsonValue): JsonValue {
  try {
    return fastJsonPatch.applyPatch(structuredClone(json), structuredClone(patch) as never[]).newDocument
  } catch (error) {
    return { error: String(error) }
  }
}

function docOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, update)
  return doc
}

/** Everything that two replicas of one document must agree about. */
function fingerprint(doc: Y.Doc): unknown {
  const clocks = [...Y.decodeStateVector(Y.encodeStateVector(doc))].toSorted(([a], [b]) => a - b)
  const deletes = [...Y.createDeleteSetFromStructStore(doc.store).clients]
    .toSorted(([a], [b]) => a - b)
    .map(([client, ranges]) => [client, ranges.map(({ clock, len }) => [clock, len])])
  return { clocks, deletes, json: toJson(doc, { mounts }) }
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return
  throw new Error(`${what} differs: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`)
}

import { isCheckpoint, MemoryStore } from '@polyphony/storage'
import { EventSource } from 'eventsource'
import jsonPatch from 'fast-json-patch'
import { afterEach, expect, test } from 'vitest'
import * as Y from 'yjs'
import {
  clientVersions,
  ignoreStrayRejections,
  openAgent,
  verifyStream,
  type AgentEvent,
  type Stamp,
} from './support/agents.ts'
import { openEditor, synced, until, type Editor } from './support/editor.ts'
import { soak } from './support/fixtures.ts'
import { send, startServer, type TestServer } from './support/http.ts'
import { startProxy, type TcpProxy } from './support/tcp-proxy.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface State {
  readonly tasks: readonly { readonly title: string; readonly done: boolean }[]
  readonly notes: Readonly<Record<string, number>>
}

/** What a watcher holds, and the version of it. */
interface Held {
  readonly state: State
  readonly version: string
}

/** A random whole number below `bound`, the same for the same seed. */
function createRandom(seed: number): (bound: number) => number {
  let state = seed * 2_654_435_761 + 1
  return (bound) => {
    state = Math.imul(state ^ (state >>> 15), 0x85ebca6b) >>> 0
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35) >>> 0
    state = (state ^ (state >>> 16)) + 0x9e3779b9
    return (state >>> 0) % bound
  }
}

/** A patch that is right for the state that its author holds, whatever the state is by now. */
function stalePatch(
  { tasks, notes }: State,
  label: string,
  random: (bound: number) => number,
): jsonPatch.Operation[] {
  const at = random(tasks.length + 1)
  const [note] = Object.keys(notes)
  switch (random(5)) {
    case 0:
      return [{ op: 'add', path: `/tasks/${at}`, value: { title: label, done: false } }]
    case 1:
      return tasks.length === 0
        ? []
        : [{ op: 'replace', path: `/tasks/${at % tasks.length}/done`, value: true }]
    case 2:
      return tasks.length === 0 ? [] : [{ op: 'remove', path: `/tasks/${at % tasks.length}` }]
    case 3:
      return note === undefined || random(2) === 0
        ? [{ op: 'add', path: `/notes/${label}`, value: random(100) }]
        : [{ op: 'remove', path: `/notes/${note}` }]
    default:
      return tasks.length < 2
        ? []
        : [{ op: 'move', from: `/tasks/${at % tasks.length}`, path: `/tasks/${random(tasks.length)}` }]
  }
}

function editAtRandom({ doc }: Editor, label: string, random: (bound: number) => number): void {
  const state = doc.getMap('state')
  const tasks = state.get('tasks') as Y.Array<Y.Map<unknown>>
  const notes = state.get('notes') as Y.Map<number>
  const at = random(tasks.length + 1)
  doc.transact(() => {
    switch (random(4)) {
      case 0: {
        const task = new Y.Map<unknown>()
        task.set('title', label)
        task.set('done', false)
        tasks.insert(at, [task])
        break
      }
      case 1:
        if (at < tasks.length) tasks.delete(at)
        break
      case 2:
        if (at < tasks.length) tasks.get(at).set('title', `${label} edited`)
        break
      default:
        notes.set(label, random(100))
    }
  })
}

/** An official agent that watches through a wire that breaks, starts anew each time, and says what it holds. */
function watchThrough(
  server: TestServer,
  proxy: TcpProxy,
  index: number,
): { held(): Held | undefined; streams: AgentEvent[][] } {
  const client = clientVersions[index % clientVersions.length]!
  const agent = openAgent(client, {
    url: server.address('plan', '/ag-ui').replace(server.url, proxy.url),
    // Seen in the log, should one of its runs be taken to have changed something.
    threadId: `watcher ${index}`,
  })
  const streams: AgentEvent[][] = []
  let pending: Stamp | undefined
  let reached: string | undefined
  let version: string | undefined
  let stopped = false
  agent.subscribe({
    onEvent: ({ event }) => {
      streams.at(-1)!.push(event)
      pending = event.metadata?.polyphony
    },
    // Only what has been applied counts: when the wire breaks, the client forgets events that it has read already.
    onStateChanged: () => {
      if (pending === undefined) return
      const follows = pending.previous === null || pending.previous === reached
      reached = follows ? pending.version : undefined
      version = follows && pending.partial !== true ? pending.version : undefined
    },
  })
  const running = (async () => {
    while (!stopped) {
      streams.push([])
      const resumes = version === undefined ? {} : { forwardedProps: { polyphony: { version } } }
      // A broken wire is what this is about.
      await agent.runAgent(resumes).catch(() => undefined)
    }
  })()
  cleanups.push(async () => {
    stopped = true
    agent.abortRun()
    await running
  })
  return {
    held: () =>
      version === undefined ? undefined : { state: structuredClone(agent.state) as State, version },
    streams,
  }
}

function subscribe(server: TestServer, proxy: TcpProxy): { state(): unknown } {
  const source = new EventSource(server.address('plan', '/events').replace(server.url, proxy.url))
  let state: unknown
  source.addEventListener('message', ({ data }) => {
    const event = JSON.parse(data as string) as AgentEvent
    state =
      event.type === 'STATE_SNAPSHOT'
        ? event.snapshot
        : jsonPatch.applyPatch(state, event.delta as jsonPatch.Operation[], true, false).newDocument
  })
  cleanups.push(() => source.close())
  return { state: () => state }
}

test.each(Array.from({ length: soak ? 100 : 3 }, (_, index) => index + 1))(
  'agents with stale views, editors and breaking wires: in the end everybody holds the same (seed %i)',
  async (seed) => {
    const random = createRandom(seed)
    cleanups.push(ignoreStrayRejections())
    const store = new MemoryStore()
    const server = await startServer({ store })
    cleanups.push(() => server.close())
    await send('PUT', server.address('plan'), { json: { tasks: [], notes: {} } })
    const editors = [0, 1].map(() => openEditor(server.url, 'plan'))
    for (const editor of editors) cleanups.push(() => editor.close())
    await synced(...editors)
    const proxies = await Promise.all([0, 1, 2, 3].map(() => startProxy(server.url)))
    for (const proxy of proxies) cleanups.push(() => proxy.close())
    const watchers = [0, 1, 2].map((index) => watchThrough(server, proxies[index]!, index))
    const subscriber = subscribe(server, proxies[3]!)
    const held: (Held | undefined)[] = [undefined, undefined, undefined]
    const writes: Promise<void>[] = []
    await until('the first states', () => watchers.every((watcher) => watcher.held() !== undefined))
    for (let step = 0; step < 120; step++) {
      // Others get their turn, so that what everybody does is interleaved.
      await new Promise((resolve) => setImmediate(resolve))
      const who = random(3)
      const label = `s${step}`
      switch (random(8)) {
        case 0:
        case 1:
          editAtRandom(editors[random(2)]!, label, random)
          break
        case 2:
          proxies[random(4)]!.cut()
          break
        case 3:
          await new Promise((resolve) => setTimeout(resolve, 15))
          break
        case 4:
          held[who] = watchers[who]!.held() ?? held[who]
          break
        default: {
          const known = held[who] ?? watchers[who]!.held()
          if (known === undefined) break
          held[who] = known
          const patch = stalePatch(known.state, label, random)
          writes.push(
            send('PATCH', server.address('plan'), {
              patch,
              headers: { 'polyphony-anchor': known.version },
            }).then(({ status, body }) => {
              // What its author saw made it right, so whatever happened since, it is never wrong.
              expect({ status, body }).toMatchObject({ status: 200 })
            }),
          )
        }
      }
    }
    await Promise.all(writes)
    const canonical = (value: unknown): string => JSON.stringify(sorted(value))
    let final = ''
    await until('everybody to hold the same', async () => {
      final = canonical((await send('GET', server.address('plan'))).body)
      return (
        editors.every(({ doc }) => canonical(doc.getMap('state').toJSON()) === final) &&
        watchers.every((watcher) => canonical(watcher.held()?.state) === final) &&
        canonical(subscriber.state()) === final
      )
    })
    expect(writes.length).toBeGreaterThan(10)
    expect(final.length).toBeGreaterThan(50)
    expect(watchers.some(({ streams }) => streams.some((events) => events[1]?.type === 'STATE_DELTA'))).toBe(
      true,
    )
    // Watchers changed nothing themselves, so nothing that they sent up may have been taken for an edit.
    for await (const item of store.read('plan'))
      if (!isCheckpoint(item)) expect(item.meta.runId).toBeUndefined()
    for (const { streams } of watchers) {
      for (const events of streams) {
        const emitted = events.filter(({ type }) => type !== 'RUN_ERROR')
        if (emitted.length > 0) await verifyStream(emitted)
      }
    }
  },
)

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  )
}

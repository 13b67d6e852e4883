import { openLevelStore } from '@polyphony/storage-level'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import * as Y from 'yjs'
import {
  clientVersions,
  openAgent,
  verifyStream,
  type AgentEvent,
  type Stamp,
} from '../../server/test/support/agents.ts'
import type { Editor } from '../../server/test/support/editor.ts'
import type { TcpProxy } from '../../server/test/support/tcp-proxy.ts'
import { Rng } from '../../translator/test/oracle/rng.ts'
import type { PolyphonyAgent } from '../src/agent/index.ts'
import {
  Bench,
  ignoreStrayRejections,
  silenceConsole,
  openEditor,
  send,
  startProxy,
  startServer,
  synced,
  until,
  type TestServer,
} from './agent-support.ts'

const bench = new Bench()
afterEach(() => bench.close())

interface Task {
  readonly id: string
  readonly title: string
  readonly done: boolean
}

interface State {
  readonly tasks: readonly Task[]
  readonly notes: Readonly<Record<string, number>>
  readonly text: string
}

/** What everybody did for sure, and what therefore must be there in the end: once, and only what nobody removed. */
class Ledger {
  readonly #random: Rng
  readonly tasks = new Set<string>()
  readonly notes = new Set<string>()
  readonly letters = new Set<string>()
  readonly removed = new Set<string>()
  #count = 0

  constructor(random: Rng) {
    this.#random = random
  }

  /** A random edit of a state as somebody sees it, and how to write it down once it is sure to happen. */
  edit({ tasks, notes, text }: State): { readonly next: State; readonly note: () => void } {
    const random = this.#random
    const id = `t${this.#count}`
    const at = random.int(tasks.length + 1)
    const old = tasks[at]
    // One letter each, that nobody ever deletes; now and then one that takes a surrogate pair.
    const letter = String.fromCodePoint((random.chance(0.2) ? 0x1f300 : 0x4e00) + this.#count)
    this.#count += 1
    const dice = random.next()
    if (dice < 0.35) {
      const task = { id, title: id, done: false }
      return {
        next: { tasks: tasks.toSpliced(at, 0, task), notes, text },
        note: () => void this.tasks.add(id),
      }
    }
    if (dice < 0.5 && old !== undefined) {
      const next = { tasks: tasks.with(at, { ...old, done: !old.done }), notes, text }
      return { next, note: () => undefined }
    }
    if (dice < 0.65 && old !== undefined) {
      const next = { tasks: tasks.toSpliced(at, 1), notes, text }
      return { next, note: () => void this.removed.add(old.id) }
    }
    if (dice < 0.8) {
      return { next: { tasks, notes: { ...notes, [id]: at }, text }, note: () => void this.notes.add(id) }
    }
    const letters = Array.from(text)
    const next = { tasks, notes, text: letters.toSpliced(random.int(letters.length + 1), 0, letter).join('') }
    return { next, note: () => void this.letters.add(letter) }
  }

  /** Holds a final state against it. */
  check({ tasks, notes, text }: State): void {
    const ids = tasks.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of this.tasks) if (!this.removed.has(id)) expect(ids).toContain(id)
    for (const id of this.notes) expect(notes).toHaveProperty(id)
    const letters = Array.from(text)
    expect(new Set(letters).size).toBe(letters.length)
    for (const letter of this.letters) expect(letters).toContain(letter)
  }
}

const readState = ({ doc }: Editor): State => doc.getMap('state').toJSON() as State

/** Somebody at an editor: what differs between the two states, done in the shared types. */
function type({ doc }: Editor, before: State, { tasks, notes, text }: State): void {
  const state = doc.getMap('state')
  const list = state.get('tasks') as Y.Array<Y.Map<unknown>>
  const body = state.get('text') as Y.Text
  doc.transact(() => {
    const at = tasks.findIndex((task, index) => task !== before.tasks[index])
    if (tasks.length > before.tasks.length) {
      const [index, task] = at < 0 ? [0, tasks[0]!] : [at, tasks[at]!]
      list.insert(index, [new Y.Map<unknown>(Object.entries(task))])
    } else if (tasks.length < before.tasks.length) list.delete(at < 0 ? tasks.length : at, 1)
    else if (at >= 0) list.get(at).set('done', tasks[at]!.done)
    for (const [key, value] of Object.entries(notes))
      if (!Object.hasOwn(before.notes, key)) (state.get('notes') as Y.Map<number>).set(key, value)
    if (text !== before.text) {
      let start = 0
      while (text[start] !== undefined && text[start] === before.text[start]) start++
      if (start > 0 && /[\uD800-\uDBFF]/.test(text[start - 1]!)) start--
      body.insert(start, text.slice(start, start + text.length - before.text.length))
    }
  })
}

/** The patch of an edit, by an author who writes JSON Patch by hand. */
function patchOf(before: State, { tasks, notes, text }: State): unknown[] {
  const at = tasks.findIndex((task, index) => task !== before.tasks[index])
  if (tasks.length > before.tasks.length) return [{ op: 'add', path: `/tasks/${at}`, value: tasks[at] }]
  if (tasks.length < before.tasks.length)
    return [{ op: 'remove', path: `/tasks/${at < 0 ? tasks.length : at}` }]
  if (at >= 0) return [{ op: 'replace', path: `/tasks/${at}/done`, value: tasks[at]!.done }]
  if (text !== before.text) return [{ op: 'replace', path: '/text', value: text }]
  return Object.entries(notes)
    .filter(([key]) => !Object.hasOwn(before.notes, key))
    .map(([key, value]) => ({ op: 'add', path: `/notes/${key}`, value }))
}

/** An official agent in a loop of watch runs that resume; between two of them it may change its state. */
class StockAgent {
  readonly streams: AgentEvent[][] = []
  readonly #agent
  #pending: Stamp | undefined
  #reached: string | undefined
  #version: string | undefined
  #wanted: (() => void) | undefined
  #proposed: string | undefined
  #stopped = false
  readonly #running: Promise<void>

  constructor(url: string, index: number) {
    this.#agent = openAgent(clientVersions[index % clientVersions.length]!, {
      url,
      threadId: `stock ${index}`,
    })
    this.#agent.subscribe({
      onEvent: ({ event }) => {
        this.streams.at(-1)!.push(event)
        this.#pending = event.metadata?.polyphony
      },
      onStateChanged: () => {
        if (this.#pending === undefined) return
        const follows = this.#pending.previous === null || this.#pending.previous === this.#reached
        this.#reached = follows ? this.#pending.version : undefined
        this.#version = follows && this.#pending.partial !== true ? this.#pending.version : undefined
      },
    })
    this.#running = this.#run()
  }

  get state(): unknown {
    return this.#agent.state
  }

  /** Whether it knows what it holds, and that the last change it made has arrived. */
  get isSure(): boolean {
    return this.#version !== undefined && this.#version !== this.#proposed && this.#wanted === undefined
  }

  /** Changes the state before the next run, which begins now. */
  change(edit: (state: State) => State | undefined): void {
    this.#wanted = () => {
      const next = this.#version === undefined ? undefined : edit(structuredClone(this.#agent.state) as State)
      if (next === undefined) return
      this.#agent.state = next
      this.#proposed = this.#version
    }
    this.#agent.abortRun()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#agent.abortRun()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      this.#wanted?.()
      this.#wanted = undefined
      this.streams.push([])
      const version = this.#version
      const polyphony = version === undefined ? {} : { version }
      // Broken wires and absent servers are what this is about.
      await this.#agent.runAgent({ forwardedProps: { polyphony } }).catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

/** Sends until there is an answer that is one. */
async function persist(...[method, address, options]: Parameters<typeof send>) {
  for (;;) {
    try {
      const answer = await send(method, address, options)
      if (answer.status < 500) return answer
    } catch {
      // The server is away.
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function openStore(folder: string) {
  return openLevelStore(join(folder, 'data'))
}

test.each(Array.from({ length: process.env.POLYPHONY_SOAK === '1' ? 500 : 25 }, (_, index) => index + 1))(
  'agents with stale views, editors, broken wires, restarts: all end equal, nothing is lost or twice (seed %i)',
  async (seed) => {
    const random = new Rng(seed)
    bench.onClose(ignoreStrayRejections())
    bench.onClose(silenceConsole())
    const folder = await mkdtemp(join(tmpdir(), 'polyphony-agents-'))
    bench.onClose(() => rm(folder, { recursive: true, force: true }))
    let server: TestServer = await startServer({ store: await openStore(folder) })
    bench.onClose(() => server.close())
    const { url } = server
    const plan = server.address('plan')
    const first = new Y.Doc()
    first.getMap('state').set('tasks', new Y.Array())
    first.getMap('state').set('notes', new Y.Map())
    first.getMap('state').set('text', new Y.Text('。'))
    await send('POST', `${plan}/updates`, {
      body: Y.encodeStateAsUpdate(first),
      type: 'application/octet-stream',
    })
    const proxies: TcpProxy[] = []
    for (let index = 0; index < 5; index++) {
      const proxy = await startProxy(url)
      bench.onClose(() => proxy.close())
      proxies.push(proxy)
    }
    const through = (index: number, address: string): string => address.replace(url, proxies[index]!.url)
    const editors = [0, 1, 2].map((index) => openEditor(through(index, url), 'plan'))
    for (const editor of editors) bench.onClose(() => editor.close())
    await synced(...editors)
    const stock = new StockAgent(through(3, `${plan}/ag-ui`), seed)
    bench.onClose(() => stock.stop())
    const events: AgentEvent[] = []
    const agent: PolyphonyAgent = bench.agent(through(4, `${plan}/ag-ui`))
    agent.subscribe({ onEvent: ({ event }) => void events.push(event) })
    const watching = agent.connectAgent()
    await until('the first states', () => stock.isSure && agent.version !== undefined)

    const ledger = new Ledger(random)
    const writes: Promise<void>[] = []
    let held = await send('GET', plan)
    for (let step = 0; step < 60; step++) {
      await new Promise((resolve) => setTimeout(resolve, random.chance(0.2) ? 10 : 0))
      const dice = random.next()
      if (dice < 0.25) {
        const editor = random.pick(editors)
        const before = readState(editor)
        const { next, note } = ledger.edit(before)
        type(editor, before, next)
        note()
      } else if (dice < 0.45) {
        const { next, note } = ledger.edit(agent.state as State)
        agent.setState(next)
        note()
      } else if (dice < 0.65) {
        const before = held.body as State
        const { next, note } = ledger.edit(before)
        const headers = { 'polyphony-anchor': held.version, 'idempotency-key': `${seed}-${step}` }
        writes.push(
          persist('PATCH', plan, { patch: patchOf(before, next), headers }).then(({ status, body }) => {
            if (status === 200) note()
            // After a restart a version may no longer be known; whatever else would be wrong.
            else expect(body).toMatchObject({ code: 'revision-expired' })
          }),
        )
      } else if (dice < 0.75) {
        if (stock.isSure)
          stock.change((state) => {
            const { next, note } = ledger.edit(state)
            note()
            return next
          })
      } else if (dice < 0.82) held = await persist('GET', plan, {})
      else if (dice < 0.97) random.pick(proxies).cut()
      else {
        for (const proxy of proxies) if (random.chance(0.5)) proxy.cut()
        await server.close()
        server = await startServer({ store: await openStore(folder), port: Number(new URL(url).port) })
      }
    }
    await Promise.all(writes)
    await agent.flush()
    let final: unknown
    await until('everybody to hold the same', async () => {
      final = (await persist('GET', plan, {})).body
      const wanted = canonical(final)
      const everybody = [...editors.map(readState), stock.state, agent.state]
      return stock.isSure && agent.saved && everybody.every((state) => canonical(state) === wanted)
    })
    ledger.check(final as State)
    agent.abortRun()
    await watching
    for (const stream of [...stock.streams, events]) {
      const emitted = stream.filter(({ type }) => type !== 'RUN_ERROR')
      if (emitted.length > 0) await verifyStream(emitted)
    }
  },
)

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
}

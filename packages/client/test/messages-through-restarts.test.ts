import { readConversation, readRuns, type Message } from '../../ag-ui/src/index.ts'
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
  type ClientVersion,
  type OfficialAgent,
} from '../../server/test/support/agents.ts'
import type { Editor } from '../../server/test/support/editor.ts'
import type { TcpProxy } from '../../server/test/support/tcp-proxy.ts'
import { startUpstream, text, type UpstreamRun } from '../../server/test/support/upstream.ts'
import { Rng } from '../../translator/test/oracle/rng.ts'
import {
  Bench,
  ignoreStrayRejections,
  silenceConsole,
  openEditor,
  startProxy,
  startServer,
  synced,
  until,
  type TestServer,
} from './agent-support.ts'

const bench = new Bench()
afterEach(() => bench.close())

type Chat = OfficialAgent & { messages: Message[]; isRunning: boolean }

/** What people type into answers; agents write digits and commas only. */
const mark = '!'

/** What an agent says in a run, if nothing comes in between. */
const wholeAnswer = (count: number): string => Array.from({ length: count }, (_, n) => `${n},`).join('')

/** An agent that counts, sometimes asks a tool, and does not notice whether anybody listens. */
function counter(random: Rng, counts: Map<string, number>) {
  return async (run: UpstreamRun): Promise<void> => {
    const { runId } = run.input
    const count = 5 + random.int(25)
    counts.set(runId, count)
    run.start()
    run.send(text.start(`answer ${runId}`))
    for (let n = 0; n < count; n++) {
      run.send(text.content(`answer ${runId}`, `${n},`))
      if (random.chance(0.5)) await pause(random.int(8))
    }
    run.send(text.end(`answer ${runId}`))
    if (random.chance(0.5)) {
      const toolCallId = `call ${runId}`
      run.send({ type: 'TOOL_CALL_START', toolCallId, toolCallName: 'ask' })
      for (const delta of ['{"n":', '1', '}']) {
        run.send({ type: 'TOOL_CALL_ARGS', toolCallId, delta })
        await pause(random.int(5))
      }
      run.send({ type: 'TOOL_CALL_END', toolCallId })
      run.send({ type: 'TOOL_CALL_RESULT', messageId: `result ${runId}`, toolCallId, content: 'ok' })
    }
    run.finish()
  }
}

/** Somebody who asks the agent one thing after the other, and keeps what came, whatever happens to the wire. */
class Asker {
  readonly agent: Chat
  readonly questions: string[] = []
  /** Runs whose end the official client has seen. */
  readonly finished: string[] = []
  /** Questions of which the server has said that the run with them began. */
  readonly begun = new Set<string>()
  readonly name: string
  #running: Promise<unknown> = Promise.resolve()

  constructor(version: ClientVersion, url: string, name: string) {
    this.name = name
    this.agent = openAgent(version, { url, threadId: name }) as Chat
  }

  get isBusy(): boolean {
    return this.agent.isRunning
  }

  ask(): void {
    const runId = `${this.name}.${this.questions.length}`
    const question = `question ${runId}`
    this.questions.push(question)
    this.agent.messages = [...this.agent.messages, { id: question, role: 'user', content: runId }]
    const { unsubscribe } = this.agent.subscribe({
      onEvent: ({ event }) => {
        if (event.type === 'RUN_STARTED') this.begun.add(question)
        if (event.type === 'RUN_FINISHED') this.finished.push(runId)
      },
    })
    // Broken wires and absent servers are what this is about.
    this.#running = this.agent
      .runAgent({ runId })
      .catch(() => undefined)
      .finally(unsubscribe)
  }

  settled(): Promise<unknown> {
    return this.#running
  }
}

/** An official client in a loop of watch runs. */
class Watcher {
  readonly agent: Chat
  readonly streams: AgentEvent[][] = []
  #isStopped = false
  readonly #running: Promise<void>

  constructor(version: ClientVersion, url: string) {
    this.agent = openAgent(version, { url }) as Chat
    this.agent.subscribe({ onEvent: ({ event }) => void this.streams.at(-1)?.push(event) })
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.agent.abortRun()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.streams.push([])
      await this.agent.runAgent().catch(() => undefined)
      await pause(5)
    }
  }
}

test.each(Array.from({ length: process.env.POLYPHONY_SOAK === '1' ? 500 : 10 }, (_, index) => index + 1))(
  'agents answer while people type, wires break and servers restart: messages are complete, in order, and the same for all (seed %i)',
  async (seed) => {
    const random = new Rng(seed)
    bench.onClose(ignoreStrayRejections())
    bench.onClose(silenceConsole())
    const folder = await mkdtemp(join(tmpdir(), 'polyphony-messages-'))
    bench.onClose(() => rm(folder, { recursive: true, force: true }))
    const counts = new Map<string, number>()
    const upstream = await startUpstream(counter(new Rng(seed + 1_000), counts))
    bench.onClose(() => upstream.close())
    const open = async (port = 0): Promise<TestServer> =>
      startServer({
        store: await openLevelStore(join(folder, 'data')),
        agents: { helper: { url: upstream.url } },
        port,
      })
    let server = await open()
    bench.onClose(() => server.close())
    const { url } = server
    const proxies: TcpProxy[] = []
    const through = async (address: string): Promise<string> => {
      const proxy = await startProxy(url)
      bench.onClose(() => proxy.close())
      proxies.push(proxy)
      return address.replace(url, proxy.url)
    }
    const editors: Editor[] = []
    for (let index = 0; index < 3; index++) editors.push(openEditor(await through(url), 'plan'))
    for (const editor of editors) bench.onClose(() => editor.close())
    await synced(...editors)
    const watchers: Watcher[] = []
    const askers: Asker[] = []
    for (const [index, version] of clientVersions.entries()) {
      const watcher = new Watcher(version, await through(server.address('plan', '/ag-ui')))
      bench.onClose(() => watcher.stop())
      watchers.push(watcher)
      askers.push(new Asker(version, await through(server.address('plan', '/agents/helper')), `p${index}`))
    }
    const agent = bench.agent(await through(server.address('plan', '/ag-ui')))
    const watching = agent.connectAgent()

    let marks = 0
    for (let step = 0; step < 50; step++) {
      await pause(random.int(12))
      const dice = random.next()
      if (dice < 0.35) {
        const asker = random.pick(askers)
        if (!asker.isBusy) asker.ask()
      } else if (dice < 0.6) marks += correct(random.pick(editors), random)
      else if (dice < 0.92) random.pick(proxies).cut()
      else {
        await server.close()
        server = await open(Number(new URL(url).port))
      }
    }
    await Promise.all(askers.map((asker) => asker.settled()))
    // What was asked when the server was away is part of what is asked next.
    for (const asker of askers) {
      await until(`the last answer for ${asker.name}`, async () => {
        asker.ask()
        await asker.settled()
        return asker.finished.includes(asker.questions.at(-1)?.replace('question ', '') ?? '')
      })
    }
    const [editor] = editors
    if (editor === undefined) throw new Error('There is no editor.')
    await until('all runs to be over', () => readRuns(editor.doc).every(({ status }) => status !== 'running'))
    const stored = () => readConversation(editor.doc).map(({ stored: one }) => one)
    await until('everybody to hold the same messages', () => {
      const wanted = shapeOf(stored() as unknown as Message[])
      const everybody = [
        ...editors.map(({ doc }) => readConversation(doc).map(({ message }) => message)),
        ...watchers.map((watcher) => watcher.agent.messages),
        agent.messages as readonly Message[],
      ]
      return everybody.every((messages) => shapeOf(messages) === wanted)
    })

    const messages = stored()
    const ids = messages.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(messages.every(({ status }) => status !== 'streaming')).toBe(true)
    for (const { questions } of askers) expect(ids.filter((id) => questions.includes(id))).toEqual(questions)
    const runs = new Map(readRuns(editor.doc).map((run) => [run.runId, run]))
    for (const runId of askers.flatMap(({ finished }) => finished))
      expect(runs.get(runId)?.status).toBe('finished')
    let seenMarks = 0
    for (const { id, content, status, runId = '' } of messages) {
      const words = String(content)
      seenMarks += words.split(mark).length - 1
      if (!id.startsWith('answer ')) continue
      const whole = wholeAnswer(counts.get(runId) ?? 0)
      const said = words.replaceAll(mark, '')
      if (status === 'complete') expect(said).toBe(whole)
      else expect(whole.startsWith(said)).toBe(true)
      if (runs.get(runId)?.status === 'finished') expect(status).toBe('complete')
      expect(ids.indexOf(id)).toBeGreaterThan(ids.indexOf(`question ${runId}`))
      const call = ids.indexOf(`call ${runId}`)
      if (call >= 0) expect(call).toBeGreaterThan(ids.indexOf(id))
      const result = ids.indexOf(`result ${runId}`)
      if (result >= 0) expect(result).toBe(call + 1)
    }
    expect(seenMarks).toBe(marks)
    agent.abortRun()
    await watching
    for (const watcher of watchers) await watcher.stop()
    for (const stream of watchers.flatMap(({ streams }) => streams)) {
      const emitted = stream.filter(({ type }) => type !== 'RUN_ERROR')
      if (emitted.length > 0) await verifyStream(emitted)
    }
  },
  60_000,
)

/** A person types into some answer, or it has none yet. Returns how many marks were made. */
function correct({ doc }: Editor, random: Rng): number {
  const answers = readConversation(doc).filter(({ message }) => message.id.startsWith('answer '))
  if (answers.length === 0) return 0
  const { id } = random.pick(answers).message
  for (const item of doc.getArray<Y.Map<unknown>>('polyphony:messages')) {
    const content = item.get('content')
    if (item.get('id') !== id || !(content instanceof Y.Text)) continue
    content.insert(random.int(content.length + 1), mark)
    return 1
  }
  return 0
}

/** What every client knows of messages, whichever its version. */
function shapeOf(messages: readonly Message[]): string {
  return JSON.stringify(
    messages.map((message) => {
      const { id, role, content = '' } = message
      const calls = 'toolCalls' in message ? (message.toolCalls ?? []) : []
      return [id, role, content, calls.map((call) => [call.id, argumentsOf(call)])]
    }),
  )
}

/** As AG-UI has them, or as they are stored. */
function argumentsOf(call: object): unknown {
  if ('function' in call) return (call.function as { readonly arguments: string }).arguments
  return 'arguments' in call ? call.arguments : undefined
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

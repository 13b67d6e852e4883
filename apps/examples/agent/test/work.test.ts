import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HttpAgent } from '@ag-ui/client'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { startServer, type RunningServer } from '../../../server/test/support/running-server.ts'
import type { DocumentAddress } from '../src/document-address.ts'
import { keepWorking } from '../src/keep-working.ts'
import { nextStep } from '../src/next-step.ts'
import { readPageState, type PageState } from '../src/page-state.ts'
import { work } from '../src/work.ts'

let folder: string
let server: RunningServer

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-agent-'))
  server = await start('0')
})

afterEach(async () => {
  await server.kill()
  await rm(folder, { recursive: true, force: true })
})

const start = (port: string): Promise<RunningServer> =>
  startServer(['--port', port, '--log-level', 'info', '--store', `level:${join(folder, 'data')}`], {}, 'demo')

const address = (): DocumentAddress => ({ url: server.url, documentId: 'welcome' })
const signal = new AbortController().signal

async function getPage(): Promise<PageState> {
  const response = await fetch(`${server.url}/v1/documents/welcome`)
  return readPageState(await response.json())
}

/** What a single, undisturbed agent makes of a page. */
function finished(page: PageState): Pick<PageState, 'text' | 'tasks'> {
  let { text, tasks } = page
  for (let step = nextStep(page); step !== undefined; step = nextStep(step.next))
    ({ text, tasks } = step.next)
  return { text, tasks }
}

it('does exactly what it plans, and finds nothing to do afterwards', async () => {
  const wanted = finished(await getPage())
  const notes: string[] = []
  const report = await work(address(), {
    holder: 'a',
    signal,
    paceMs: 0,
    onStep: ({ note }) => notes.push(note),
  })
  expect(report.outcome).toBe('done')
  expect(notes).toHaveLength(report.steps)
  expect(await getPage()).toMatchObject({ ...wanted, agent: { status: 'resting', holder: '' } })
  expect(await work(address(), { holder: 'a', signal, paceMs: 0 })).toEqual({ steps: 0, outcome: 'done' })
})

it('lets only one of several agents work at a time', async () => {
  const wanted = finished(await getPage())
  const reports = await Promise.all(
    ['a', 'b', 'c', 'd'].map((holder) => work(address(), { holder, signal, paceMs: 5 })),
  )
  expect(reports.map(({ outcome }) => outcome).toSorted()).toEqual(['busy', 'busy', 'busy', 'done'])
  expect(await getPage()).toMatchObject(wanted)
})

it('goes on where it was when the server is killed under it, and repeats nothing', async () => {
  const wanted = finished(await getPage())
  const { port } = new URL(server.url)
  let steps = 0
  let restarted: Promise<void> | undefined
  const restart = async (): Promise<void> => {
    await server.kill()
    server = await start(port)
  }
  const report = await work(address(), {
    holder: 'a',
    signal,
    paceMs: 0,
    onStep: () => {
      steps += 1
      if (steps === 7) restarted = restart()
    },
  })
  await restarted
  expect(report.outcome).toBe('done')
  expect(await getPage()).toMatchObject(wanted)
})

it('follows what people change, and stops when told', async () => {
  const stopping = new AbortController()
  const working = keepWorking(address(), { holder: 'a', signal: stopping.signal, paceMs: 0, quietMs: 50 })
  await vi.waitFor(async () => expect(nextStep(await getPage())).toBeUndefined(), { timeout: 20_000 })
  const patch = async (value: string): Promise<void> => {
    await fetch(`${server.url}/v1/documents/welcome`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json-patch+json' },
      body: JSON.stringify([{ op: 'replace', path: '/text', value }]),
    })
  }
  await patch('# the second page\n\nTODO: Read teh book\n')
  await vi.waitFor(
    async () => {
      const { text, tasks } = await getPage()
      expect(text).toContain('# The Second Page\n\n- [ ] Read the book\n')
      expect(tasks.map(({ title }) => title)).toContain('Read the book')
      expect(nextStep(await getPage())).toBeUndefined()
    },
    { timeout: 20_000 },
  )
  stopping.abort()
  await working
})

it('stops at any time without a fuss, and leaves the work to others', async () => {
  const wanted = finished(await getPage())
  for (let at = 0; at < 8; at++) {
    const stopping = new AbortController()
    const onStep = (): void => stopping.abort()
    if (at === 0) stopping.abort()
    const { outcome } = await work(address(), { holder: `${at}`, signal: stopping.signal, paceMs: 0, onStep })
    expect(outcome).toBe('stopped')
    expect((await getPage()).agent.status).toBe('resting')
  }
  expect((await work(address(), { holder: 'last', signal, paceMs: 0 })).outcome).toBe('done')
  expect(await getPage()).toMatchObject(wanted)
})

it('is a program, too', async () => {
  const program = fileURLToPath(new URL('../dist/agent.js', import.meta.url))
  const run = (args: readonly string[]) =>
    new Promise<{ code: number | null; out: string }>((resolve) => {
      const child = spawn(process.execPath, [program, ...args])
      let out = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.once('close', (code) => resolve({ code, out }))
    })
  const wanted = finished(await getPage())
  const { code, out } = await run(['--url', server.url, '--document', 'welcome', '--once'])
  expect(out).toMatch(/Corrected “collegues” to “colleagues”\n[\s\S]*\d+ changes\.\n$/)
  expect(code).toBe(0)
  expect(await getPage()).toMatchObject(wanted)
  expect(await run(['--colour'])).toMatchObject({ code: 2 })
  const nobody = await run(['--url', 'http://127.0.0.1:1', '--once'])
  expect(nobody).toMatchObject({ code: 1, out: expect.stringMatching(/^agent: .+\n$/) })
})

it('shows in the README what works', async () => {
  const readme = await readFile(new URL('../../../../README.md', import.meta.url), 'utf8')
  const [, code = ''] = /## For agent builders\n\n```ts\n([\s\S]*?)```/.exec(readme) ?? []
  expect(code).toContain("import { HttpAgent } from '@ag-ui/client'")
  const body = code.replace(/^import .*$/gm, '').replaceAll('http://localhost:4400', server.url)
  const run = Object.getPrototypeOf(async () => undefined).constructor as new (
    ...parts: string[]
  ) => (agent: typeof HttpAgent) => Promise<void>
  const before = (await getPage()).text
  await new run('HttpAgent', body)(HttpAgent)
  expect((await getPage()).text).toBe(before.replace('teh', 'the'))
})

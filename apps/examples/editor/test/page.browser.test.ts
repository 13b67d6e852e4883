import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { readPageState, watchDocument, type DocumentAddress } from '@polyphony/example-agent'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { startServer, type RunningServer } from '../../../server/test/support/running-server.ts'
import {
  editorText,
  goToLine,
  launchBrowser,
  openWindow,
  untilSaved,
  windowState,
  type Window,
} from './window.ts'

const kills = process.env['POLYPHONY_SOAK'] === '1' ? 12 : 2
/** What browsers say of a server that is not there; the page cannot keep them from it. */
const networkComplaint = /WebSocket connection to|net::ERR_|Failed to load resource/

let browser: Browser
let folder: string
let server: RunningServer
const windows: Window[] = []
const stops: AbortController[] = []

beforeAll(async () => {
  browser = await launchBrowser()
})

afterAll(() => browser.close())

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-page-'))
  server = await start()
})

afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort()
  for (const { page } of windows.splice(0)) await page.context().close()
  await server.kill()
  await rm(folder, { recursive: true, force: true })
})

const start = (port = '0'): Promise<RunningServer> =>
  startServer(['--port', port, '--log-level', 'info', '--store', `level:${join(folder, 'data')}`], {}, 'demo')

async function open(documentId = 'welcome'): Promise<Window> {
  const window = await openWindow(browser, `${server.url}/?document=${encodeURIComponent(documentId)}`)
  windows.push(window)
  return window
}

/** An AG-UI client of its own, built on the official one: the newest state that it has. */
function watch(documentId = 'welcome'): () => unknown {
  const address: DocumentAddress = { url: server.url, documentId }
  const stop = new AbortController()
  stops.push(stop)
  let last: unknown
  void watchDocument(address, { onSight: ({ state }) => (last = state) }, stop.signal)
  return () => last
}

async function getState(documentId = 'welcome'): Promise<unknown> {
  const response = await fetch(`${server.url}/v1/documents/${encodeURIComponent(documentId)}`)
  return await response.json()
}

async function pressAskAndWait(page: Page): Promise<void> {
  await page.click('#ask')
  await page.waitForSelector('.agent.working')
  await page.waitForSelector('.agent:not(.working)')
  await page.waitForSelector('#ask:text("Ask the agent")')
}

/** Waits until both editors, REST and the AG-UI client have the very same state; returns it. */
async function converged(pages: readonly Page[], seen: () => unknown, documentId?: string) {
  return await vi.waitFor(
    async () => {
      const state = await getState(documentId)
      for (const page of pages) {
        expect(await windowState(page)).toEqual(state)
        expect(await editorText(page)).toBe(readPageState(state).text)
      }
      expect(seen()).toEqual(state)
      return readPageState(state)
    },
    { timeout: 15_000, interval: 100 },
  )
}

const words = (name: string, count: number): string =>
  Array.from({ length: count }, (_, at) => `${name}${at}`).join(' ')

// People type at the pace of people, and the browser shares the machine with other tests.
describe('the page', { timeout: 180_000 }, () => {
  it('lets two people type while the agent edits, and everybody ends with the same', async () => {
    const [ada, bob] = [await open(), await open()]
    const seen = watch()
    await ada.page.locator('#keep').check({ force: true })
    await ada.page.waitForSelector('.agent.working')
    await goToLine(ada.page, 'You, your')
    await goToLine(bob.page, 'Keep typing here')
    await Promise.all([
      ada.page.keyboard.type(` ${words('ada', 60)} recieved. `, { delay: 15 }),
      bob.page.keyboard.type(` ${words('bob', 60)}`, { delay: 15 }),
    ])
    await bob.page.fill('#new-task-title', 'Bring cake')
    await bob.page.press('#new-task-title', 'Enter')
    await bob.page.getByLabel('Bring cake', { exact: true }).check()
    await vi.waitFor(
      async () => {
        const { text, tasks, agent } = readPageState(await getState())
        expect(text).toContain('## In Short')
        expect(text).toContain('received.')
        expect(text).toMatch(
          /2 of \d+ tasks done\. Next: Invite somebody: share the address of this page\.\n/,
        )
        expect(tasks).toContainEqual(expect.objectContaining({ title: 'Bring cake', done: true }))
        expect(agent.status).toBe('resting')
      },
      { timeout: 40_000, interval: 200 },
    )
    const { text, tasks } = await converged([ada.page, bob.page], seen)
    // Nobody's words were torn apart, lost or repeated.
    expect(text.match(/ada\d+/g)).toEqual(words('ada', 60).split(' '))
    expect(text.match(/bob\d+/g)).toEqual(words('bob', 60).split(' '))
    expect(text).not.toMatch(/^(TODO|DONE):|collegues|teh |recieved/m)
    expect(new Set(tasks.map(({ title }) => title)).size).toBe(tasks.length)
    for (const window of [ada, bob]) {
      await untilSaved(window.page)
      expect(await window.page.locator('#tasks li').count()).toBe(tasks.length)
      expect(window.complaints).toEqual([])
    }
  })

  it('shows exactly what the agent alone makes of the document', async () => {
    const [ada, bob] = [await open(), await open()]
    const seen = watch()
    await pressAskAndWait(ada.page)
    const { text, tasks } = await converged([ada.page, bob.page], seen)
    expect(text).toBe(`# Welcome to the Shared Page

You, your colleagues and an agent are writing in this document, all at once. Open this page in a second window and type in both: the edits merge, and each is stored before anybody else sees it.

## Things to Try

- [ ] Ask the agent with the button beside this text
- [ ] Keep typing here while it works
- [ ] Stop the server with kill -9, start it again, and find everything still here
- [x] Start the server

## What the Agent Does

It reads the document through AG-UI and writes by JSON Patch, anchored to what it saw. It corrects typos, gives headings their capitals, and makes tasks of TODO lines. There is no model behind it, so it will definitely do the same tomorrow.

## In Short

124 words in 3 sections; 1 of 5 tasks done. Next: Invite somebody: share the address of this page.
`)
    expect(tasks.filter(({ done }) => done).map(({ title }) => title)).toEqual(['Start the server'])
    // Undo takes back one's own words, never the agent's or another's.
    await goToLine(ada.page, 'Welcome')
    await ada.page.keyboard.type(' mistake')
    await vi.waitFor(async () => expect(await editorText(bob.page)).toContain('Page mistake'))
    await ada.page.keyboard.press('Control+z')
    expect(await converged([ada.page, bob.page], seen)).toMatchObject({ text, tasks })
    await bob.page.click('#ask')
    await bob.page.waitForSelector('text=Nothing to do: all is in order')
    for (const { complaints } of [ada, bob]) expect(complaints).toEqual([])
  })

  it('makes a document that nobody had, once, whoever comes first', async () => {
    const documentId = 'team/ünseen'
    const [ada, bob] = await Promise.all([open(documentId), open(documentId)])
    const seen = watch(documentId)
    for (const [page, title] of [
      [ada.page, 'from Ada'],
      [bob.page, 'from Bob'],
    ] as const) {
      await page.fill('#new-task-title', title)
      await page.press('#new-task-title', 'Enter')
    }
    await ada.page.locator('.cm-content').click()
    await ada.page.keyboard.type('hello')
    await vi.waitFor(async () => expect(readPageState(await getState(documentId)).tasks).toHaveLength(2))
    const { text, tasks } = await converged([ada.page, bob.page], seen, documentId)
    expect(text).toBe('hello')
    expect(tasks.map(({ title }) => title).toSorted()).toEqual(['from Ada', 'from Bob'])
  })

  it('lets somebody with a token to read look, and says that they may not write', async () => {
    const env = { POLYPHONY_AUTH_SECRET: 'a secret that is long enough for HS256' }
    const locked = await startServer(['--store', 'memory:', '--log-level', 'info'], env, 'demo')
    const cli = fileURLToPath(new URL('../../../server/dist/cli.js', import.meta.url))
    const grant = ['token', '--subject', 'guest', '--document', 'welcome', '--access', 'read']
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...grant], {
      env: { ...process.env, ...env },
    })
    const window = await openWindow(browser, `${locked.url}/?token=${stdout.trim()}`)
    windows.push(window)
    const { page, complaints } = window
    await page.waitForSelector('#panel-state .key:text-is("\\"tasks\\"")')
    expect(await editorText(page)).toMatch(/^# Welcome/)
    await goToLine(page, 'Welcome')
    await page.keyboard.type('!')
    await page.waitForSelector('#status[data-state=read-only]')
    expect(complaints).toEqual([])
    await locked.kill()
  })

  it('loses nothing that anybody saw when the server is killed', async () => {
    const [ada, bob] = [await open(), await open()]
    const seen = watch()
    const { port } = new URL(server.url)
    const shown = new Set<string>()
    const note = (text: string) => text.match(/(ada|bob)\d+_/g)?.forEach((word) => shown.add(word))
    let typed = 0
    for (let round = 0; round < kills; round++) {
      await goToLine(ada.page, 'You, your')
      await goToLine(bob.page, 'Keep typing here')
      const from = typed
      typed += 40
      const typing = Promise.all(
        [ada, bob].map(({ page }, at) =>
          page.keyboard.type(
            Array.from({ length: 40 }, (_, i) => ` ${at === 0 ? 'ada' : 'bob'}${from + i}_`).join(''),
            { delay: 8 },
          ),
        ),
      )
      // In the middle of the typing, wherever that happens to be.
      await vi.waitFor(async () => expect(await editorText(bob.page)).toContain(`ada${from + 8}_`), {
        timeout: 15_000,
        interval: 20,
      })
      await server.kill()
      for (const { page } of [ada, bob]) await page.waitForSelector('#status[data-state=offline]')
      // What one window shows of the other's typing has been through the server.
      note((await editorText(ada.page)).replace(/ada\d+_/g, ''))
      note((await editorText(bob.page)).replace(/bob\d+_/g, ''))
      note(readPageState(seen()).text)
      await typing
      server = await start(port)
      const { text } = readPageState(await getState())
      for (const word of shown) expect(text).toContain(word)
      for (const { page } of [ada, bob]) await untilSaved(page)
    }
    expect(shown.size).toBeGreaterThan(kills * 8)
    const { text } = await converged([ada.page, bob.page], seen)
    // Every word once. Where they stand is up to where the cursors were put in each round.
    for (const name of ['ada', 'bob']) {
      const found = text.match(new RegExp(`${name}\\d+_`, 'g')) ?? []
      expect(found.toSorted()).toEqual(Array.from({ length: typed }, (_, at) => `${name}${at}_`).toSorted())
    }
    for (const { complaints } of [ada, bob])
      expect(complaints.filter((complaint) => !networkComplaint.test(complaint))).toEqual([])
  })
})

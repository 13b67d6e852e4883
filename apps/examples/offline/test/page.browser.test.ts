import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { startServer, type RunningServer } from '../../../server/test/support/running-server.ts'

const site = fileURLToPath(new URL('../dist', import.meta.url))
/** What browsers say of a server that is not there; the page cannot keep them from it. */
const networkComplaint = /WebSocket connection to|net::ERR_|Failed to load resource|Failed to fetch/

let browser: Browser
let folder: string
let server: RunningServer
const contexts: BrowserContext[] = []
const complaints: string[] = []

beforeAll(async () => {
  const executablePath = process.env['POLYPHONY_CHROMIUM'] ?? ''
  if (executablePath === '') throw new Error('There is no Chromium: run these tests by "pnpm test".')
  browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  })
})

afterAll(() => browser.close())

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'polyphony-offline-'))
  complaints.length = 0
  server = await start()
})

afterEach(async () => {
  for (const context of contexts.splice(0)) await context.close()
  await server.kill()
  await rm(folder, { recursive: true, force: true })
})

const start = (port = '0'): Promise<RunningServer> =>
  startServer([
    '--port',
    port,
    '--site',
    site,
    '--log-level',
    'info',
    '--store',
    `level:${join(folder, 'data')}`,
  ])

async function openBrowser(): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 900, height: 800 } })
  contexts.push(context)
  context.on('page', (page) => {
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      const isComplaint = message.type() === 'error' || message.type() === 'warning'
      if (isComplaint && !networkComplaint.test(message.text())) complaints.push(message.text())
    })
  })
  return context
}

/** A tab whose shell is kept, so that it can be reloaded without a network. */
async function openTab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${server.url}/`)
  await page.waitForFunction(async () => (await caches.match('./')) !== undefined)
  await until(page, { saved: true, connection: 'online' })
  return page
}

interface Wanted {
  readonly connection?: 'online' | 'offline' | 'connecting'
  readonly saved?: boolean
  readonly savedLocally?: boolean
}

async function until(page: Page, wanted: Wanted): Promise<void> {
  const attributes = [
    ['connection', wanted.connection],
    ['saved', wanted.saved],
    ['saved-locally', wanted.savedLocally],
  ].flatMap(([name, value]) => (value === undefined ? [] : [`[data-${name}="${value}"]`]))
  await page.waitForSelector(`#status${attributes.join('')}`, { timeout: 20_000 })
}

async function addItem(page: Page, title: string): Promise<void> {
  await page.fill('#new-item', title)
  await page.press('#new-item', 'Enter')
  await page.waitForSelector(`#items li:has-text("${title}")`)
}

async function shown(page: Page): Promise<readonly string[]> {
  return (await page.locator('#items li span').allTextContents()).toSorted()
}

/** The titles that the server has committed. */
async function committed(): Promise<readonly string[]> {
  const response = await fetch(`${server.url}/v1/documents/packing`)
  if (response.status === 404) return []
  const state = (await response.json()) as Record<string, { readonly title: string }>
  return Object.values(state)
    .map(({ title }) => title)
    .toSorted()
}

describe('the packing list', { timeout: 120_000 }, () => {
  it('is edited in two tabs with the network off, survives a reload, and is sent afterwards', async () => {
    const context = await openBrowser()
    const [a, b] = [await openTab(context), await openTab(context)]
    await addItem(a, 'Tent')
    await until(a, { saved: true })
    expect(await committed()).toEqual(['Tent'])

    await context.setOffline(true)
    await until(a, { connection: 'offline' })
    await until(b, { connection: 'offline' })
    await addItem(a, 'Stove')
    await addItem(b, 'Map')
    // Each tab shows the other's edit, and neither calls it saved.
    for (const page of [a, b]) {
      await vi.waitFor(async () => expect(await shown(page)).toEqual(['Map', 'Stove', 'Tent']))
      await until(page, { saved: false, savedLocally: true })
      expect(await page.locator('#status strong').textContent()).toBe('Kept on this device')
    }
    expect(await committed()).toEqual(['Tent'])
    await Promise.all([a.reload(), b.reload()])
    for (const page of [a, b]) {
      await vi.waitFor(async () => expect(await shown(page)).toEqual(['Map', 'Stove', 'Tent']), 20_000)
      await until(page, { saved: false, savedLocally: true })
    }
    await b.getByLabel('Tent', { exact: true }).check()

    await context.setOffline(false)
    for (const page of [a, b]) await until(page, { saved: true, connection: 'online' })
    expect(await committed()).toEqual(['Map', 'Stove', 'Tent'])
    const other = await openTab(await openBrowser())
    expect(await shown(other)).toEqual(['Map', 'Stove', 'Tent'])
    expect(await other.getByLabel('Tent', { exact: true }).isChecked()).toBe(true)
    expect(complaints).toEqual([])
  })

  it('loses nothing when the server is killed, and tabs come and go meanwhile', async () => {
    const context = await openBrowser()
    const [a, b] = [await openTab(context), await openTab(context)]
    const { port } = new URL(server.url)
    await server.kill()
    await addItem(a, 'Rope')
    await addItem(b, 'Lamp')
    await until(b, { savedLocally: true, saved: false })
    // The tab that writes to the database goes; the other one takes over.
    await a.close()
    await addItem(b, 'Knife')
    await until(b, { savedLocally: true, saved: false })
    await b.close()
    const c = await context.newPage()
    await c.goto(`${server.url}/`)
    await vi.waitFor(async () => expect(await shown(c)).toEqual(['Knife', 'Lamp', 'Rope']), 20_000)
    await until(c, { saved: false, savedLocally: true })

    server = await start(port)
    await until(c, { saved: true, connection: 'online' })
    expect(await committed()).toEqual(['Knife', 'Lamp', 'Rope'])
    expect(complaints).toEqual([])
  })

  it('goes offline and online by its button, and never shows "Saved" for what the server lacks', async () => {
    const page = await openTab(await openBrowser())
    await page.click('#network')
    await until(page, { connection: 'offline', saved: true })
    for (let round = 0; round < 5; round++) {
      await addItem(page, `Thing ${round}`)
      expect(await page.locator('#status').getAttribute('data-saved')).toBe('false')
      await page.click('#network')
      await until(page, { saved: true })
      expect(await committed()).toHaveLength(round + 1)
      await until(page, { connection: 'online' })
      await page.click('#network')
      await until(page, { connection: 'offline' })
    }
    await page.getByLabel('Remove Thing 0').click()
    await page.click('#network')
    await until(page, { connection: 'online', saved: true })
    expect(await committed()).toEqual(['Thing 1', 'Thing 2', 'Thing 3', 'Thing 4'])
    expect(complaints).toEqual([])
  })

  it('says when this device is full, saves on the server all the same, and keeps it once there is room', async () => {
    const context = await openBrowser()
    const origin = new URL(server.url).origin
    const page = await context.newPage()
    const devtools = await context.newCDPSession(page)
    // Before the first write: Chromium asks for the quota again only when it has used up what it knows of.
    await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3_000_000 })
    await page.goto(`${server.url}/`)
    await until(page, { saved: true, connection: 'online' })
    // Nothing that can be compressed.
    const large = randomBytes(750_000).toString('base64')
    for (let n = 0; n < 6; n++)
      await page.evaluate(
        ([path, title]) => {
          const { polyphony } = globalThis as unknown as { polyphony: { change(patch: unknown): void } }
          polyphony.change([{ op: 'add', path, value: { title, done: false, addedAtMs: 0 } }])
        },
        [`/large-${n}`, large],
      )
    await until(page, { connection: 'online', saved: true, savedLocally: false })
    expect(await committed()).toHaveLength(6)
    await page.click('#network')
    await addItem(page, 'Anchor')
    await until(page, { saved: false, savedLocally: false })
    await page.waitForSelector('#status:has-text("This device cannot keep it")')
    await devtools.send('Storage.overrideQuotaForOrigin', { origin })
    await until(page, { saved: false, savedLocally: true })
    await page.reload()
    await vi.waitFor(async () => expect(await shown(page)).toContain('Anchor'), 20_000)
    await until(page, { connection: 'online', saved: true })
    expect(complaints).toEqual([])
  })
})

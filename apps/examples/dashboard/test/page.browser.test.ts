import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chromium, type Browser, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { startGreenhouse, type RunningGreenhouse } from '../src/start.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const site = fileURLToPath(new URL('../dist/page', import.meta.url))
let browser: Browser
let greenhouse: RunningGreenhouse
const errors: unknown[] = []

beforeAll(async () => {
  await promisify(execFile)('pnpm', ['exec', 'vite', 'build', '--logLevel', 'warn'], { cwd: folder })
  const executablePath = process.env['POLYPHONY_CHROMIUM'] ?? ''
  if (executablePath === '') throw new Error('There is no Chromium: run these tests by "pnpm test".')
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  greenhouse = await startGreenhouse({
    site,
    port: 0,
    roundMs: 150,
    // An answer must last until somebody has stopped it, also on a slow machine.
    wordMs: 150,
    onError: (error) => errors.push(error),
  })
})

afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
})

afterAll(async () => {
  await browser.close()
  await greenhouse.close()
})

const complaints: string[] = []

/** A window of somebody: a context of its own, so that nothing but the server connects it with others. */
async function open(): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.goto(greenhouse.server.url)
  await page.waitForSelector('#status[data-state=connected]')
  await page.waitForSelector('.bed')
  return page
}

const figureOf = (page: Page): Promise<string> => page.innerText('[data-bed=tomato] .figure')

function setLimit(page: Page, value: string): Promise<void> {
  return page.locator('#limit').fill(value)
}

it('shows both what agents write and what the other does, an answer grows in both, and nothing is lost', async () => {
  const [ada, ben] = [await open(), await open()]
  for (const page of [ada, ben]) {
    await page.waitForFunction(() => document.querySelectorAll('#people li').length === 2)
    const before = await figureOf(page)
    await page.waitForFunction(
      (was) => document.querySelector<HTMLElement>('[data-bed=tomato] .figure')?.innerText !== was,
      before,
    )
  }
  // A person lowers the limit while the gauge writes: the warden reacts, and the limit stays.
  await setLimit(ada, '18')
  await ben.waitForSelector('#limit-value:text("18.0 °C")')
  for (const page of [ada, ben])
    await page.waitForFunction(() => document.querySelectorAll('#alerts input').length >= 3)
  // The other notes an alert while the agents go on.
  await ben.locator('#alerts input').first().check()
  await ada.waitForSelector('#alerts .seen')

  await ada.fill('#question', 'What now?')
  await ada.press('#question', 'Enter')
  const lengths: number[][] = [[], []]
  for (const [index, page] of [ada, ben].entries()) {
    await page.waitForSelector('.messages .user:has-text("What now?")')
    await page.waitForSelector('.messages .call:has-text("read_beds")')
    await page.waitForSelector('.messages .streaming p')
    lengths[index]!.push((await page.innerText('.messages .agent p')).length)
  }
  for (const [index, page] of [ada, ben].entries()) {
    await page.waitForSelector('.messages .agent.complete p')
    await page.waitForSelector('.messages .call b:text("result")')
    lengths[index]!.push((await page.innerText('.messages .agent p')).length)
  }
  for (const [early, late] of lengths) expect(late).toBeGreaterThan(early!)
  const answers = await Promise.all([ada, ben].map((page) => page.innerText('.messages .agent p')))
  expect(answers[0]).toContain('water after sunset')
  expect(answers[1]).toBe(answers[0])
  expect(await ada.innerText('#limit-value')).toBe('18.0 °C')

  // Somebody else than who asked stops the next one in the middle.
  await ada.fill('#question', 'And then?')
  await ada.press('#question', 'Enter')
  await ben.waitForSelector('.messages .streaming p')
  await ben.click('#stop')
  await ada.waitForSelector('.messages .interrupted p')
  expect(errors).toEqual([])
  expect(complaints).toEqual([])
})

import type { EditorView } from '@codemirror/view'
import { chromium, type Browser, type Page } from 'playwright-core'
import type * as Y from 'yjs'

/** Chromium as `pnpm test` found it. Throws when there is none. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = process.env['POLYPHONY_CHROMIUM'] ?? ''
  if (executablePath === '') throw new Error('There is no Chromium: run these tests by "pnpm test".')
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
  return await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', ...quiet],
  })
}

/** One person's window: a browser context of its own, so that nothing but the server connects it with others. */
export interface Window {
  readonly page: Page
  /** What the console said, and what the content security policy held up. */
  readonly complaints: readonly string[]
}

/** Opens the page and waits until it has the document and everything is saved. */
export async function openWindow(browser: Browser, url: string): Promise<Window> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`content security policy: ${violatedDirective} ${blockedURI}`),
    )
  })
  await page.goto(url)
  await untilSaved(page)
  return { page, complaints }
}

export async function untilSaved(page: Page): Promise<void> {
  await page.waitForSelector('#status[data-state=saved]')
}

/** Puts the cursor at the end of the line that has this text. */
export async function goToLine(page: Page, text: string): Promise<void> {
  await page.locator('.cm-line', { hasText: text }).first().click()
  await page.keyboard.press('End')
}

/** The whole text as the editor has it, also what is scrolled out of sight. */
export function editorText(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { editor } = (globalThis as unknown as { polyphony: Handles }).polyphony
    return editor.state.doc.toString()
  })
}

/** The state as the window's own document has it, in the shape of the server's projection. */
export function windowState(page: Page): Promise<unknown> {
  return page.evaluate(() => {
    const { doc } = (globalThis as unknown as { polyphony: Handles }).polyphony
    return { ...doc.getMap('state').toJSON(), text: doc.getText('text').toJSON() }
  })
}

interface Handles {
  readonly doc: Y.Doc
  readonly editor: EditorView
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { chromium, type Browser, type Page } from 'playwright-core'
import { build } from 'vite'

/** Any address will do: the page is answered by the test itself, nothing goes to a network. */
const address = 'https://store.test/page'

/** A Chromium with a profile of its own, as a process that can be killed. */
export interface RunningBrowser {
  /** A page of the one origin of these tests, with `test/browser/page.ts` loaded. */
  openPage(): Promise<Page>
  /** Every process of it, at once, as a crash of the machine's user session would. */
  kill(): Promise<void>
  close(): Promise<void>
}

export async function startBrowser(profile: string, script: string): Promise<RunningBrowser> {
  const executable = process.env['POLYPHONY_CHROMIUM'] ?? ''
  if (executable === '') throw new Error('There is no Chromium: run these tests by "pnpm test".')
  const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
  const child = spawn(
    executable,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--remote-debugging-port=0',
      `--user-data-dir=${profile}`,
      ...quiet,
      'about:blank',
    ],
    // A process group of its own: killed as a whole.
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  const exited = once(child, 'exit')
  const browser = await connect(child)
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined)
      process.kill(-child.pid, 'SIGKILL')
    await exited
    await browser.close()
  }
  return {
    openPage: async () => {
      const context = browser.contexts()[0] ?? (await browser.newContext())
      const page = await context.newPage()
      await page.route('**/*', (route) =>
        route.request().url() === address
          ? route.fulfill({ contentType: 'text/html; charset=utf-8', body: `<script>${script}</script>` })
          : route.abort(),
      )
      await page.goto(address)
      return page
    },
    kill,
    close: async () => {
      const session = await browser.newBrowserCDPSession()
      await session.send('Browser.close')
      await exited
      await browser.close()
    },
  }
}

/** Connects to the address that Chromium prints when it is ready. */
async function connect(child: ChildProcess): Promise<Browser> {
  if (child.stderr === null) throw new Error('the output of Chromium is not piped')
  const said: string[] = []
  for await (const line of createInterface(child.stderr)) {
    const found = /DevTools listening on (ws:\S+)/.exec(line)?.[1]
    if (found !== undefined) {
      child.stderr.resume()
      return await chromium.connectOverCDP(found)
    }
    said.push(line)
  }
  throw new Error(`Chromium did not start:\n${said.join('\n')}`)
}

export interface PageScript {
  readonly code: string
  /** Modules of Node that the page would need. There must be none. */
  readonly nodeModules: readonly string[]
}

/** Bundles `test/browser/page.ts` with the store from its source, as an application's bundler does. */
export async function bundlePage(): Promise<PageScript> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    resolve: { conditions: ['@polyphony/source', 'module', 'browser', 'import', 'default'] },
    build: {
      write: false,
      minify: false,
      target: 'es2023',
      lib: {
        entry: fileURLToPath(new URL('../browser/page.ts', import.meta.url)),
        formats: ['iife'],
        name: 'storePage',
      },
    },
  })
  const chunks = (Array.isArray(result) ? result : [result]).flatMap((one) =>
    'output' in one ? one.output : [],
  )
  const [chunk] = chunks
  if (chunk?.type !== 'chunk' || chunks.length !== 1) throw new Error('The page is not one script')
  // What Vite puts in place of a module that browsers do not have.
  const nodeModules = chunk.moduleIds.filter((id) => /__vite-browser-external|^node:/.test(id))
  return { code: chunk.code.replaceAll('</script', '<\\/script'), nodeModules }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createPolyphonyServer } from '@polyphony/server'
import { MemoryStore } from '@polyphony/storage'
import { build } from 'vite'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { page } from './support/dom.ts'
import type * as Page from './support/react-18-page.ts'

const require = createRequire(import.meta.url)
const entry = fileURLToPath(new URL('./support/react-18-page.ts', import.meta.url))
let folder: string
let bundle: typeof Page

beforeAll(async () => {
  // Below the package, where the bundle finds what is not in it.
  folder = await mkdtemp(join(dirname(fileURLToPath(import.meta.url)), '../node_modules/.react-18-'))
  const packageOf = (name: string) => dirname(require.resolve(`${name}/package.json`))
  await build({
    configFile: false,
    logLevel: 'error',
    resolve: {
      conditions: ['@polyphony/source', 'node'],
      alias: [
        { find: /^react-dom\/server$/, replacement: join(packageOf('react-dom-18'), 'server.node.js') },
        { find: /^react-dom(?=\/|$)/, replacement: packageOf('react-dom-18') },
        { find: /^react(?=\/|$)/, replacement: packageOf('react-18') },
      ],
    },
    ssr: { noExternal: true, external: ['ws', '@polyphony/storage-level'] },
    build: {
      ssr: entry,
      outDir: folder,
      minify: false,
      rollupOptions: { output: { entryFileNames: 'page.mjs' } },
    },
  })
  const built: unknown = await import(pathToFileURL(join(folder, 'page.mjs')).href)
  bundle = built as typeof bundle
})

afterAll(() => rm(folder, { recursive: true, force: true }))

it('works with React 18', async () => {
  expect(bundle.version).toMatch(/^18\./)
  expect(bundle.renderOnServer()).toBe('<button> not saved offline</button>')
  const server = await createPolyphonyServer({ store: new MemoryStore(), port: 0 })
  const container = page.createElement('div')
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: false })
  const stop = bundle.start(server.url, container)
  await vi.waitFor(() => expect(container.textContent).toBe(' saved online'), 5_000)
  container.querySelector('button')?.click()
  await vi.waitFor(() => expect(container.textContent).toBe('"x" saved online'), 5_000)
  await stop()
  await server.close(1_000)
})

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { defineConfig } from 'vitepress'

const docs = new URL('../', import.meta.url)

/** Pages in reading order. One that is not written yet is left out, one that is not named here comes last. */
const groups = [
  {
    text: 'Begin',
    pages: ['quick-start', 'client', 'architecture', 'configuration', 'migration', 'operations'],
  },
  {
    text: 'Reference',
    pages: [
      'http-api',
      'websocket',
      'ag-ui',
      'messages',
      'event-reference',
      'authorization',
      'limits',
      'errors',
      'metrics',
      'troubleshooting',
    ],
  },
  {
    text: 'Storage',
    pages: [
      'choosing-a-store',
      'durability',
      'many-nodes',
      'redis',
      'postgres',
      'encryption',
      'storage-adapter',
    ],
  },
  { text: 'Parts', pages: ['translator', 'agents-and-stale-patches', 'large-documents', 'benchmarks'] },
]

export default defineConfig({
  title: 'Polyphony',
  description: 'People and AI agents on one durable Yjs document',
  cleanUrls: true,
  lastUpdated: false,
  // Files of the repository beside this folder.
  ignoreDeadLinks: [/^\.\/(\.\.\/)+(packages|apps|bench|ops)\//],
  head: [['link', { rel: 'icon', href: '/icon.svg', type: 'image/svg+xml' }]],
  themeConfig: {
    logo: '/icon.svg',
    search: { provider: 'local' },
    outline: [2, 3],
    sidebar: [
      ...groups.map(({ text, pages }) => ({ text, items: pages.filter(isWritten).map(itemOf) })),
      { text: 'More', items: otherPages().map(itemOf) },
      { text: 'Decisions', collapsed: true, items: decisions().map(itemOf) },
    ].filter(({ items }) => items.length > 0),
  },
})

function isWritten(page: string): boolean {
  return existsSync(new URL(`${page}.md`, docs))
}

function otherPages(): string[] {
  const known = new Set(['index', ...groups.flatMap(({ pages }) => pages)])
  return pagesIn('').filter((page) => !known.has(page))
}

function decisions(): string[] {
  return pagesIn('decisions/').filter((page) => page !== 'decisions/index')
}

function pagesIn(folder: string): string[] {
  const files = readdirSync(new URL(`./${folder}`, docs))
  return files
    .filter((file) => file.endsWith('.md'))
    .map((file) => folder + file.slice(0, -'.md'.length))
    .toSorted()
}

function itemOf(page: string): { text: string; link: string } {
  const [, heading = page] = /^# (.+)$/m.exec(readFileSync(new URL(`${page}.md`, docs), 'utf8')) ?? []
  return { text: heading, link: `/${page}` }
}

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { errorTable, limitTable } from '@polyphony/core'
import { metricSpecs } from '@polyphony/server'
import { describe, expect, it } from 'vitest'
import { importOptions } from '../src/import-options.ts'
import { optionNames, optionSpec } from '../src/options.ts'
import { tokenOptions } from '../src/token-options.ts'

const docs = new URL('../../../docs/', import.meta.url)

/** Tables in the documentation that say what the code says, by page and name of the region. */
const tables: Readonly<Record<string, readonly string[]>> = {
  'configuration.md options': table(
    ['flag', 'variable', 'file', 'default', 'meaning'],
    optionNames.map((name) => {
      const { flag, value, env, file, default: fallback, meaning, many } = optionSpec(name)
      const repeatable = many === undefined ? '' : '. May be given several times'
      return [
        code(`--${flag} ${value}`),
        code(env),
        file === '' ? '' : code(file),
        fallback === undefined ? '' : code(fallback),
        meaning + repeatable,
      ]
    }),
  ),
  'configuration.md token': table(
    ['flag', 'meaning'],
    tokenOptions.map(({ flag, value, meaning }) => [code(`--${flag} ${value}`), meaning]),
  ),
  'migration.md import': table(
    ['flag', 'meaning'],
    importOptions.map(({ flag, value, meaning }) => [
      code(value === undefined ? `--${flag}` : `--${flag} ${value}`),
      meaning,
    ]),
  ),
  'limits.md limits': table(
    ['name', 'default', 'unit', 'error', 'limits'],
    Object.entries(limitTable).map(([name, { default: value, unit, error, meaning }]) => [
      code(name),
      value.toLocaleString('en'),
      unit,
      code(error),
      meaning,
    ]),
  ),
  'errors.md errors': table(
    ['code', 'HTTP', 'WebSocket', 'again', 'meaning'],
    Object.entries(errorTable).map(([name, { status, close, retry, title }]) => [
      code(name),
      String(status),
      String(close),
      retry ? 'yes' : 'no',
      title,
    ]),
  ),
  'metrics.md metrics': table(
    ['name', 'type', 'labels', 'meaning'],
    Object.entries(metricSpecs).map(([name, { type, labels, help }]) => [
      code(name),
      type,
      labels.map(code).join(', '),
      help,
    ]),
  ),
}

describe('the documentation', () => {
  it.each(Object.keys(tables))('says what the code says: %s', (place) => {
    const [page = '', region = ''] = place.split(' ')
    const url = new URL(page, docs)
    const text = readFileSync(url, 'utf8')
    const begin = `<!-- begin ${region} -->\n`
    const end = `<!-- end ${region} -->`
    const from = text.indexOf(begin) + begin.length
    const to = text.indexOf(end)
    expect(to).toBeGreaterThanOrEqual(from)
    const wanted = `\n${tables[place]?.join('\n')}\n\n`
    if (process.env['POLYPHONY_UPDATE_DOCS'] === '1')
      writeFileSync(url, text.slice(0, from) + wanted + text.slice(to))
    // Out of date? POLYPHONY_UPDATE_DOCS=1 pnpm exec vitest run apps/server/test/documentation.test.ts
    else expect(text.slice(from, to)).toBe(wanted)
  })

  it('names only error codes and limits that exist', () => {
    const known = new Set([...Object.keys(errorTable), ...Object.keys(limitTable)])
    for (const page of pages()) {
      const text = readFileSync(new URL(page, docs), 'utf8')
      for (const [, name = ''] of text.matchAll(/`([a-z][A-Za-z]+(?:Max|GiveUpMs|LifetimeMs))`/g))
        expect(known, `${page} names the limit ${name}`).toContain(name)
      for (const [, name = ''] of text.matchAll(/\b(?:4\d\d|5\d\d|44\d\d) `([a-z]+(?:-[a-z]+)+)`/g))
        expect(known, `${page} names the error ${name}`).toContain(name)
    }
  })

  it('links only to pages and headings that exist', () => {
    for (const page of pages()) {
      const text = readFileSync(new URL(page, docs), 'utf8').replace(/```[\s\S]*?```/g, '')
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^(https?:|mailto:|\/)/.test(target)) continue
        const [path = '', heading] = target.split('#')
        const linked = path === '' ? new URL(page, docs) : new URL(path, new URL(page, docs))
        const file = linked.pathname.endsWith('/') ? new URL('index.md', linked) : linked
        const found = readFileSync(file, 'utf8')
        if (heading !== undefined) expect(slugs(found), `${page} → ${target}`).toContain(heading)
      }
    }
  })
})

function pages(): string[] {
  return readdirSync(docs, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.md') && !path.includes('node_modules') && !path.startsWith('.vitepress'),
  )
}

function slugs(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s+/g, '-'),
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)]
}

function code(text: string): string {
  return `\`${text}\``
}

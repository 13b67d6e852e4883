import { readFileSync } from 'node:fs'
import { runInThisContext } from 'node:vm'
import { createPolyphonyServer } from '@polyphony/server'
import { MemoryStore } from '@polyphony/storage'
import { expect, it } from 'vitest'
import { openDocument, type PolyphonyDocument } from '../src/index.ts'
import * as face from '../src/index.ts'

const guide = readFileSync(new URL('../../../docs/client.md', import.meta.url), 'utf8')

it('the five minutes of the guide are as it says', async () => {
  const [, code = ''] = /## Five minutes\n\n```ts\nimport .*\n([^]*?)```/.exec(guide) ?? []
  const [, value = ''] = /document\.value \/\/ (.*)/.exec(code) ?? []
  const server = await createPolyphonyServer({ store: new MemoryStore(), port: 0 })
  const body = code
    .replace('http://localhost:4400', server.url)
    .replace('await document.close()', 'return document')
  // The guide's own code, on the guide's own words.
  const run: unknown = runInThisContext(`async (openDocument, console) => { ${body} }`)
  const document = await (run as (...given: unknown[]) => Promise<PolyphonyDocument>)(openDocument, console)
  expect(document.value).toEqual(runInThisContext(`(${value})`))
  await document.close()
  await server.close(1_000)
})

it('the package has the face that it is meant to have', () => {
  expect(Object.keys(face).toSorted()).toEqual([
    'PolyphonyDocument',
    'Presence',
    'isPolyphonyError',
    'openDocument',
    'valueAt',
  ])
})

import { readFileSync } from 'node:fs'
import { createPolyphonyServer } from '@polyphony/server'
import { MemoryStore } from '@polyphony/storage'
import { expect, it } from 'vitest'
import { openDocument } from '../src/index.ts'
import * as face from '../src/index.ts'

const guide = readFileSync(new URL('../../../docs/client.md', import.meta.url), 'utf8')

it('the five minutes of the guide are as it says', async () => {
  const [, code = ''] = /## Five minutes\n\n```ts\nimport .*\n([^]*?)```/.exec(guide) ?? []
  const [, value = ''] = /document\.value \/\/ (.*)/.exec(code) ?? []
  const server = await createPolyphonyServer({ store: new MemoryStore(), port: 0 })
  const run = new Function(
    'openDocument',
    'console',
    `return (async () => { ${code.replace('http://localhost:4400', server.url).replace('await document.close()', 'return document')} })()`,
  ) as (...args: unknown[]) => Promise<ReturnType<typeof openDocument>>
  const document = await run(openDocument, console)
  expect(document.value).toEqual(new Function(`return (${value})`)())
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

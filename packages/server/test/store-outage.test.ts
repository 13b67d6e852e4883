import { resolveLimits } from '@polyphony/core'
import { MemoryStore } from '@polyphony/storage'
import { afterEach, expect, test } from 'vitest'
import { createPolyphonyServer, type PolyphonyServer } from '../src/server.ts'
import { openEditor, synced, until, type Editor } from './support/editor.ts'
import { GatedStore } from './support/gated-store.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

function edit(server: PolyphonyServer): Editor {
  const editor = openEditor(server.url, 'doc')
  cleanups.push(() => editor.close())
  return editor
}

async function readinessOf(server: PolyphonyServer): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${server.url}/readyz`)
  return { status: answer.status, body: await answer.json() }
}

async function metricOf(server: PolyphonyServer, line: RegExp): Promise<boolean> {
  return line.test(await (await fetch(`${server.url}/metrics`)).text())
}

test('a store that fails: the server says so, at the bound sends sessions away with 1013, and goes on by itself', async () => {
  const gate = new GatedStore(new MemoryStore())
  const server = await createPolyphonyServer({
    store: gate.store,
    port: 0,
    limits: resolveLimits({ queueBytesMax: 4_000 }),
  })
  cleanups.push(() => server.close(2_000))
  const [writer, reader] = [edit(server), edit(server)]
  await synced(writer, reader)
  expect(await readinessOf(server)).toMatchObject({ status: 200 })

  const closed: number[] = []
  writer.provider.on('connection-close', (event: { code: number } | null) => {
    if (event !== null) closed.push(event.code)
  })
  gate.failures = Infinity
  writer.doc.getText('text').insert(0, 'kept')
  await until('it to say that it takes no edits', async () => (await readinessOf(server)).status === 503)
  expect(await readinessOf(server)).toMatchObject({ status: 503, body: { reason: 'store-failed' } })
  expect(
    await metricOf(
      server,
      /^polyphony_store_calls_total\{operation="append",outcome="store-failed"\} [1-9]/m,
    ),
  ).toBe(true)
  expect(closed).toEqual([])
  const text = writer.doc.getText('text')
  for (let i = 0; i < 100; i++) text.insert(text.length, ` ${i}`.padEnd(100, '.'))
  await until('the session to be sent away', () => closed.includes(1013))
  expect(reader.doc.getText('text').toJSON()).toBe('')

  gate.failures = 0
  const kept = text.toJSON()
  await until('everybody to have what the writer kept', () => reader.doc.getText('text').toJSON() === kept)
  await until('it to take edits', async () => (await readinessOf(server)).status === 200)
  const fresh = edit(server)
  await synced(fresh)
  expect(fresh.doc.getText('text').toJSON()).toBe(kept)
  expect(
    await metricOf(server, /^polyphony_store_calls_total\{operation="append",outcome="ok"\} [1-9]/m),
  ).toBe(true)
})

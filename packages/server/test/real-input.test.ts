import { HttpAgent } from '@ag-ui/client'
import { MemoryStore } from '@polyphony/storage'
import { seed } from '@polyphony/translator'
import { afterEach, expect, test } from 'vitest'
import * as Y from 'yjs'
import { createPolyphonyServer, type PolyphonyServer } from '../src/server.ts'
import { openEditor, synced, until } from './support/editor.ts'
import { readFixture, soak, type EditingTrace } from './support/fixtures.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function start(): Promise<PolyphonyServer> {
  const server = await createPolyphonyServer({ store: new MemoryStore(), port: 0 })
  cleanups.push(() => server.close(5_000))
  return server
}

function edit(server: PolyphonyServer, documentId: string) {
  const editor = openEditor(server.url, documentId)
  cleanups.push(() => editor.close())
  return editor
}

/** An official AG-UI client in a watch run; `state()` is what its subscribers see. */
function watch(server: PolyphonyServer, documentId: string): { state: () => unknown } {
  const agent = new HttpAgent({ url: `${server.url}/v1/documents/${documentId}/ag-ui` })
  let state: unknown
  void agent.runAgent({}, { onStateChanged: ({ state: next }) => void (state = next) })
  cleanups.push(() => agent.abortRun())
  return { state: () => state }
}

async function get(server: PolyphonyServer, documentId: string): Promise<unknown> {
  const response = await fetch(`${server.url}/v1/documents/${documentId}`)
  expect(response.status).toBe(200)
  return response.json()
}

test(
  'every keystroke of a real paper goes through a provider, and everybody ends with the exact text',
  { timeout: 300_000 },
  async () => {
    const trace = readFixture('automerge-paper.json') as EditingTrace
    const txns = soak ? trace.txns : trace.txns.slice(0, 40_000)
    const server = await start()
    const writer = edit(server, 'paper')
    const reader = edit(server, 'paper')
    await synced(writer, reader)
    const watcher = watch(server, 'paper')
    const text = writer.doc.getText('text')
    let done = 0
    for (const { patches } of txns) {
      for (const [position, deleted, inserted] of patches) {
        if (deleted > 0) text.delete(position, deleted)
        if (inserted !== '') text.insert(position, inserted)
      }
      // As a typist does, the trace lets others have a turn.
      if (++done % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const expected = text.toJSON()
    if (soak) expect(expected).toBe(trace.endContent)
    await until(
      'the second provider to have it all',
      () => reader.doc.getText('text').toJSON() === expected,
      240_000,
    )
    await until(
      'the watcher to have it all',
      () => (watcher.state() as { text?: string } | undefined)?.text === expected,
      60_000,
    )
    expect(await get(server, 'paper')).toEqual({ text: expected })
  },
)

test(
  'a real JSON document is edited by an agent over REST and by a Yjs client at once, 500 times each',
  { timeout: 120_000 },
  async () => {
    const edits = soak ? 500 : 150
    const twitter = readFixture('twitter.json') as { statuses: { favorite_count: number; text: string }[] }
    const server = await start()
    const handle = await server.documents.open('twitter')
    cleanups.push(() => handle.release())
    await handle.submit({ author: 'seed' }, seed(twitter))
    const one = edit(server, 'twitter')
    const two = edit(server, 'twitter')
    await synced(one, two)
    const statuses = one.doc.getMap('state').get('statuses') as Y.Array<Y.Map<unknown>>
    const watcher = watch(server, 'twitter')
    const agent = async (): Promise<void> => {
      for (let i = 0; i < edits; i++) {
        const index = (i * 7) % twitter.statuses.length
        const patch =
          i % 5 === 0
            ? [
                {
                  op: 'add',
                  path: '/statuses/0',
                  value: { id: `agent-${i}`, text: `said ${i}`, favorite_count: 0, user: { name: 'agent' } },
                },
              ]
            : [
                { op: 'replace', path: `/statuses/${index}/favorite_count`, value: i },
                { op: 'add', path: `/statuses/${index}/tags`, value: ['a', { i }] },
              ]
        const response = await fetch(`${server.url}/v1/documents/twitter`, {
          method: 'PATCH',
          headers: { 'content-type': 'application/json-patch+json' },
          body: JSON.stringify(patch),
        })
        expect(response.ok, await response.text()).toBe(true)
      }
    }
    const person = async (): Promise<void> => {
      for (let i = 0; i < edits; i++) {
        const status = statuses.get((i * 13) % statuses.length)
        status.set('text', `edited ${i}`)
        if (i % 10 === 0) statuses.delete(statuses.length - 1, 1)
        if (i % 10 === 5) statuses.push([new Y.Map([['text', `typed ${i}`]])])
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await Promise.all([agent(), person()])
    const canonical = (value: unknown): string =>
      JSON.stringify(value, (_key, each: unknown) =>
        each !== null && typeof each === 'object' && !Array.isArray(each)
          ? Object.fromEntries(Object.entries(each).toSorted(([a], [b]) => (a < b ? -1 : 1)))
          : each,
      )
    await until('all replicas to be equal', async () => {
      const states = [
        one.doc.getMap('state').toJSON(),
        two.doc.getMap('state').toJSON(),
        await get(server, 'twitter'),
        watcher.state(),
      ].map(canonical)
      return states.every((state) => state === states[0])
    })
    expect(canonical(await get(server, 'twitter'))).toContain(`"agent-${edits - 5}"`)
  },
)

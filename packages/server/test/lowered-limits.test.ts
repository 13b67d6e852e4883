import { isFixedLimit, limitTable, type LimitName } from '@polyphony/core'
import { MemoryStore, StoreWrapper } from '@polyphony/storage'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { openEditor, synced, until } from './support/editor.ts'
import { send, startServer } from './support/http.ts'

/** Without these nobody gets a connection, or keeps it. */
const needed: readonly LimitName[] = [
  'frameBytesMax',
  'awarenessBytesMax',
  'openDocumentsMax',
  'connectionsMax',
  'documentConnectionsMax',
  'storeGiveUpMs',
  'sendBufferBytesMax',
  'stepTwoBytesMax',
  'feedLifetimeMs',
  'feedStallMs',
]
/** Everything else at its lowest. */
const lowest = Object.fromEntries(
  (Object.keys(limitTable) as LimitName[])
    .filter((name) => !needed.includes(name) && !isFixedLimit(name))
    .map((name) => [name, 1]),
)

function nest(map: Y.Map<unknown>, levels: number): Y.Map<unknown> {
  let at = map
  for (let level = 0; level < levels; level++) at = at.set('inner', new Y.Map())
  return at
}

/** A store that outlives the server that closes it. */
class LastingStore extends StoreWrapper {
  constructor() {
    super(new MemoryStore(), 'lasting')
  }

  override async close(): Promise<void> {
    await Promise.resolve()
  }
}

test('what is stored opens under every limit that was lowered since, and is whole', async () => {
  const store = new LastingStore()
  const before = await startServer({ store })
  const author = openEditor(before.url, 'd')
  await synced(author)
  nest(author.doc.getMap('state'), 40).set('text', 'x'.repeat(10_000))
  author.doc.getMap('state').set('list', Y.Array.from(Array.from({ length: 2_000 }, (_, n) => n)))
  author.doc.getMap('state').delete('list')
  for (let n = 0; n < 20; n++) author.doc.getMap('state').set(`n${n}`, n)
  await until(
    'everything to be stored',
    async () => (await send('GET', before.address('d', '?path=/n19'))).body === 19,
  )
  const state = (await send('GET', before.address('d'))).body
  author.close()
  await before.close()

  const after = await startServer({ store, limits: lowest })
  expect(await send('GET', after.address('d'))).toMatchObject({ status: 200, body: state })
  const reader = openEditor(after.url, 'd')
  await synced(reader)
  expect(reader.doc.getMap('state').toJSON()).toEqual(state)
  // One that comes back tells all the deletions that it knows of.
  reader.provider.disconnect()
  reader.provider.connect()
  await synced(reader)
  await until('the server to have heard it', async () => {
    const { body } = await send('GET', `${after.url}/metrics`)
    return Number(/outcome="empty"} (\d+)/.exec(String(body))?.[1]) > 0
  })
  reader.close()
  await after.close()
})

test('a document that is deeper than the limit can be edited as deep as it is, and no deeper', async () => {
  const store = new LastingStore()
  const before = await startServer({ store })
  const author = openEditor(before.url, 'd')
  await synced(author)
  nest(author.doc.getMap('state'), 40).set('depth', 40)
  const path = `${'/inner'.repeat(40)}/depth`
  const stored = async (url: string): Promise<unknown> => (await send('GET', `${url}?path=${path}`)).body
  await until('the state to be stored', async () => (await stored(before.address('d'))) === 40)
  author.close()
  await before.close()

  const after = await startServer({ store, limits: { updateDepthMax: 8 } })
  const editor = openEditor(after.url, 'd')
  await synced(editor)
  let deepest = editor.doc.getMap<unknown>('state')
  for (let inner = deepest.get('inner'); inner instanceof Y.Map; inner = inner.get('inner')) deepest = inner
  deepest.set('depth', 41)
  await until('the edit to be stored', async () => (await stored(after.address('d'))) === 41)
  const refused = new Promise<number>((resolve) =>
    editor.provider.on('connection-close', (event: { code: number }) => resolve(event.code)),
  )
  nest(deepest, 2).set('too', 'deep')
  expect(await refused).toBe(4413)
  expect(await stored(after.address('d'))).toBe(41)
  editor.close()
  await after.close()
})

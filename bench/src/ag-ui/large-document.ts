import { statePieces } from '@polyphony/server'
import { encodeUpdateSeries } from '@polyphony/storage'
import { openLevelStore } from '@polyphony/storage-level'
import * as Y from 'yjs'

/** `strings`: 1e4 members, as long as it takes. `entries`: as many members of 100 bytes as it takes, 1e6 for 100 MB. */
export type Shape = 'strings' | 'entries'

/** Writes a document of about `bytes` bytes of JSON, as a checkpoint, into a LevelDB store. */
export async function storeLargeDocument(
  directory: string,
  documentId: string,
  { shape, bytes }: { readonly shape: Shape; readonly bytes: number },
): Promise<void> {
  const doc = new Y.Doc()
  const state = doc.getMap('state')
  const members = shape === 'strings' ? 10_000 : Math.round(bytes / 100)
  const length = Math.max(1, Math.round(bytes / members) - 20)
  doc.transact(() => {
    for (let index = 0; index < members; index++)
      state.set(`member-${String(index).padStart(7, '0')}`, textOf(index, length))
  })
  const pieces = [...statePieces(doc)]
  const stateVector = Y.encodeStateVector(doc)
  doc.destroy()
  const store = await openLevelStore(directory)
  const [first] = pieces
  if (first === undefined) throw new Error('A large document is not empty')
  const entry = { update: first.update, meta: { author: 'bench', committedAtMs: Date.now() } }
  await store.append([{ documentId, entries: [entry] }])
  const series = encodeUpdateSeries(pieces.map(({ update }) => update))
  await store.checkpoint(documentId, { revision: 1, stateVector, state: series })
  await store.close()
}

/** Text that does not repeat itself and is not all ASCII. */
function textOf(index: number, length: number): string {
  let text = `${index} – `
  while (text.length < length) text += `${(index * 2_654_435_761 + text.length) % 1_000_003} `
  return text.slice(0, length)
}

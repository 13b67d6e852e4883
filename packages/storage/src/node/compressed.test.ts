import { expect, it } from 'vitest'
import { MemoryStore } from '../index.ts'
import { appendTo, readAll, sampleBytes, sampleCheckpoint, sampleEntry } from '../testing/index.ts'
import { TamperedStore } from '../../test/support/tampered-store.ts'
import { compressed } from './index.ts'

const text = new TextEncoder().encode('people and agents on one durable document. '.repeat(500))

it('compressed: text and checkpoints become much smaller, random bytes hardly larger', async () => {
  const plain = new MemoryStore({ retention: { entries: 0, bytes: 0, ageMs: 0 } })
  const store = compressed(plain)
  await appendTo(store, 'doc', [
    sampleEntry(text),
    sampleEntry(sampleBytes(5000)),
    sampleEntry(sampleBytes(100)),
  ])
  const sizes = (await readAll(plain, 'doc')).entries.map(({ update }) => update.length)
  expect(sizes[0]).toBeLessThan(text.length / 10)
  expect(sizes.slice(1)).toEqual([5001, 101])
  await store.checkpoint('doc', sampleCheckpoint(3, [text, text, text]))
  expect((await plain.head('doc'))?.bytes).toBeLessThan(text.length / 10)
  expect((await readAll(store, 'doc')).checkpoint?.state.length).toBe(text.length * 3)
})

it('compressed: what does not decompress to what it says is damage, and not a bomb', async () => {
  const tampered = new TamperedStore(new MemoryStore())
  const store = compressed(tampered)
  await appendTo(store, 'doc', [sampleEntry(text)])
  const change = (edit: (bytes: Uint8Array, view: DataView) => void) =>
    tampered.tamperEntries((entry) => {
      const update = entry.update.slice()
      edit(update, new DataView(update.buffer))
      return { ...entry, update }
    })
  const edits: ((bytes: Uint8Array, view: DataView) => void)[] = [
    (bytes) => bytes.fill(0xff, 10),
    (_, view) => view.setUint32(1, text.length - 1, true),
    (_, view) => view.setUint32(1, text.length + 1, true),
    (_, view) => view.setUint32(1, 0xffffffff, true),
    (bytes) => bytes.fill(7, 0, 1),
  ]
  for (const edit of edits) {
    change(edit)
    await expect(readAll(store, 'doc')).rejects.toMatchObject({
      code: 'store-corrupt',
      details: { documentId: 'doc' },
    })
  }
  change(() => undefined)
  expect((await readAll(store, 'doc')).entries[0]?.update).toEqual(text)
})

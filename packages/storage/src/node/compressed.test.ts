import { expect, it } from 'vitest'
import { MemoryDisk, MemoryStore, type DocumentStore } from '../index.ts'
import {
  appendTo,
  chunksOf,
  readAll,
  readTexts,
  sampleBytes,
  sampleCheckpoint,
  sampleEntry,
} from '../testing/index.ts'
import { TamperedStore } from '../../test/support/tampered-store.ts'
import { compressed, encrypted, generateKeyLine, parseKeyRing } from './index.ts'

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
  expect(sizes.slice(1)).toEqual([5000, 100])
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
    (_, view) => view.setUint32(5, text.length - 1, true),
    (_, view) => view.setUint32(5, text.length + 1, true),
    (_, view) => view.setUint32(5, 0xffffffff, true),
    (bytes) => bytes.fill(7, 4, 5),
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

const ring = parseKeyRing(generateKeyLine('k1'))
const retention = { entries: 0, bytes: 0, ageMs: 0 }
/** A store on the disk as a server puts it together. */
const stacks: Record<string, (plain: DocumentStore) => DocumentStore> = {
  plain: (plain) => compressed(plain, { thresholdBytes: Infinity }),
  encrypted: (plain) => compressed(encrypted(plain, ring), { thresholdBytes: Infinity }),
}

it.each(Object.entries(stacks))(
  'compressed: is switched on and off over what is there, be it %s',
  async (_, off) => {
    const disk = new MemoryDisk()
    const on = (plain: DocumentStore) =>
      off === stacks['plain'] ? compressed(plain) : compressed(encrypted(plain, ring))
    const expected: string[] = []
    for (const [round, wrap] of [off, on, off, on, off].entries()) {
      const store = wrap(
        new MemoryStore({ disk, retention: { ...retention, entries: 100, bytes: 1e9, ageMs: 1e9 } }),
      )
      for (const size of [1, 5_000, 300_000]) {
        const value = `${round} `.repeat(size)
        expected.push(value)
        await appendTo(store, 'doc', [sampleEntry(value)])
      }
      for (const [, other] of [on, off].entries()) {
        const reader = other(new MemoryStore({ disk }))
        expect(await readTexts(reader, 'doc', { after: 0 })).toEqual(expected)
      }
      await store.checkpoint('doc', sampleCheckpoint(expected.length, text))
      for (const [, other] of [on, off].entries()) {
        const reader = other(new MemoryStore({ disk }))
        expect((await readAll(reader, 'doc')).checkpoint?.state).toEqual(text)
      }
    }
  },
)

it('compressed: what begins like a stored form comes back as it was, compressed or not', async () => {
  const looks = [0, 1, 2, 16, 17, 18, 127, 128, 255].flatMap((kind) =>
    [0, 1, 2_000].map((more) => Uint8Array.of(255, 255, 255, 255, kind, ...sampleBytes(more))),
  )
  for (const thresholdBytes of [0, 1_024, Infinity]) {
    const store = compressed(new MemoryStore({ retention }), { thresholdBytes })
    for (const value of [...looks, Uint8Array.of(255, 255, 255, 255), new Uint8Array()]) {
      const { last } = await appendTo(store, 'doc', [sampleEntry(value)])
      expect((await readAll(store, 'doc', { after: last - 1 })).entries[0]?.update).toEqual(value)
      await store.checkpoint('doc', {
        revision: last,
        stateVector: value,
        state: chunksOf(value.slice(0, 2), value.slice(2)),
      })
      const { checkpoint } = await readAll(store, 'doc')
      expect(checkpoint?.stateVector).toEqual(value)
      expect(Buffer.compare(checkpoint?.state ?? new Uint8Array(), value)).toBe(0)
    }
  }
})

it('compressed: says what to do about values that are encrypted', async () => {
  const disk = new MemoryDisk()
  const sealing = encrypted(new MemoryStore({ disk, retention }), ring)
  const store = compressed(new MemoryStore({ disk, retention }))
  const expected = { code: 'store-misconfigured', message: expect.stringContaining('--encryption-keys') }
  await appendTo(sealing, 'doc', [sampleEntry('a')])
  await expect(readAll(store, 'doc')).rejects.toMatchObject(expected)
  await sealing.checkpoint('doc', sampleCheckpoint(1, text))
  await expect(readAll(store, 'doc')).rejects.toMatchObject(expected)
})

import { describe, expect, it } from 'vitest'
import {
  MemoryDisk,
  MemoryStore,
  SharedMemoryStore,
  type DocumentStore,
  type LogEntry,
  type NewEntry,
} from '../index.ts'
import {
  appendTo,
  chunksOf,
  readAll,
  readTexts,
  sampleBytes,
  sampleCheckpoint,
  sampleEntries,
  sampleEntry,
} from '../testing/index.ts'
import { TamperedStore } from '../../test/support/tampered-store.ts'
import { encrypted, generateKeyLine, KeyRing, parseKeyRing } from './index.ts'

const ring = parseKeyRing(generateKeyLine('k1'))
const retention = { entries: 0, bytes: 0, ageMs: 0 }

function open(): { plain: MemoryStore; tampered: TamperedStore; store: DocumentStore } {
  const plain = new MemoryStore({ retention })
  const tampered = new TamperedStore(plain)
  return { plain, tampered, store: encrypted(tampered, ring) }
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice()
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return copy
}

async function appendSingly(store: DocumentStore, documentId: string, entries: readonly NewEntry[]) {
  for (const entry of entries) await appendTo(store, documentId, [entry])
}

const corrupt = { code: 'store-corrupt' }

describe('encrypted: secrecy', () => {
  it('shows the store neither content nor author, run or key of an entry, nor of a checkpoint', async () => {
    const { plain, store } = open()
    const secret = 'the launch code is 0000'
    await appendTo(store, 'doc', [
      sampleEntry(secret, { author: 'mallory', runId: 'run-77', idempotencyKey: 'key-99' }),
    ])
    const state = new TextEncoder().encode(secret)
    await store.checkpoint('doc', { revision: 1, stateVector: state, state: chunksOf(state) })
    await appendTo(store, 'doc', [sampleEntry(secret, { author: 'mallory' })])
    const stored = await readAll(plain, 'doc')
    const visible = JSON.stringify(stored, (_key, value: unknown) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
    )
    for (const word of ['launch', 'mallory', 'run-77', 'key-99']) expect(visible).not.toContain(word)
    expect(await readTexts(store, 'doc', { after: 1 })).toEqual([secret])
  })

  it('gives equal content different bytes each time', async () => {
    const { plain, store } = open()
    await appendTo(store, 'doc', [sampleEntry('same'), sampleEntry('same')])
    const [first, second] = (await readAll(plain, 'doc')).entries
    expect(first?.update).not.toEqual(second?.update)
  })
})

describe('encrypted: every change is noticed', () => {
  it('any flipped bit of an entry', async () => {
    const { plain, tampered, store } = open()
    await appendTo(store, 'doc', sampleEntries(2))
    const bits = ((await readAll(plain, 'doc')).entries[1]?.update.length ?? 0) * 8
    for (let bit = 0; bit < bits; bit++) {
      tampered.tamperEntries((entry) =>
        entry.revision === 2 ? { ...entry, update: flipped(entry.update, bit) } : entry,
      )
      // A bit of the key's id makes it another key, one of the first bytes a value that is not encrypted.
      const expected = { code: expect.stringMatching(/^store-(corrupt|misconfigured)$/) }
      await expect(readAll(store, 'doc'), `bit ${bit}`).rejects.toMatchObject(expected)
    }
  })

  it('an entry at another place, in another document, or in place of another', async () => {
    const { plain, tampered, store } = open()
    await appendSingly(store, 'doc', [
      sampleEntry('to Bob: 10'),
      sampleEntry('to Eve: 99'),
      sampleEntry('end'),
    ])
    await appendSingly(store, 'other', sampleEntries(3))
    const { entries } = await readAll(plain, 'doc')
    const foreign = await readAll(plain, 'other')
    const replacing = (source: readonly LogEntry[], from: number) => (entry: LogEntry) =>
      entry.revision === 2 ? { ...entry, update: source[from - 1]?.update ?? entry.update } : entry
    for (const change of [replacing(entries, 1), replacing(entries, 3), replacing(foreign.entries, 2)]) {
      tampered.tamperEntries(change)
      await expect(readAll(store, 'doc')).rejects.toMatchObject({
        ...corrupt,
        details: { documentId: 'doc' },
      })
    }
    // The check itself does not stumble over what is untouched.
    tampered.tamperEntries(replacing(entries, 2))
    expect((await readAll(store, 'doc')).entries.length).toBe(3)
  })

  it('an entry from before the document was deleted and created again', async () => {
    const { plain, tampered, store } = open()
    await appendSingly(store, 'doc', sampleEntries(3, 'old'))
    const old = await readAll(plain, 'doc')
    await store.delete('doc')
    await store.create('doc')
    await appendSingly(store, 'doc', sampleEntries(3, 'new'))
    for (const revision of [2, 3]) {
      tampered.tamperEntries((entry) =>
        entry.revision === revision ? (old.entries[revision - 1] ?? entry) : entry,
      )
      await expect(readAll(store, 'doc'), `in place of ${revision}`).rejects.toMatchObject(corrupt)
    }
  })

  it('a checkpoint that is changed, cut off, reordered, or mixed from two', async () => {
    const { plain, tampered, store } = open()
    await appendTo(store, 'doc', sampleEntries(3))
    const other = new MemoryStore({ retention })
    await store.checkpoint('doc', sampleCheckpoint(3, sampleBytes(700_000)))
    const twin = encrypted(other, ring)
    await appendTo(twin, 'doc', sampleEntries(3))
    await twin.checkpoint('doc', sampleCheckpoint(3, sampleBytes(700_000, 2)))
    const state = (await readAll(plain, 'doc')).checkpoint?.state ?? new Uint8Array()
    const foreign = (await readAll(other, 'doc')).checkpoint?.state ?? new Uint8Array()
    const frame = 4 + new DataView(state.buffer).getUint32(0, true)
    const changes: Record<string, Uint8Array> = {
      'a bit': flipped(state, 8 * 300_000),
      'the end': state.slice(0, -10),
      'the last chunk': state.slice(0, 2 * frame),
      'all chunks': new Uint8Array(),
      order: Buffer.concat([
        state.subarray(frame, 2 * frame),
        state.subarray(0, frame),
        state.subarray(2 * frame),
      ]),
      'one chunk twice': Buffer.concat([state.subarray(0, frame), state]),
      'of another': Buffer.concat([state.subarray(0, 2 * frame), foreign.subarray(2 * frame)]),
      'more after the end': Buffer.concat([state, state.subarray(2 * frame)]),
    }
    for (const [what, changed] of Object.entries(changes)) {
      tampered.tamperCheckpoints((checkpoint) => ({ ...checkpoint, state: chunksOf(changed) }))
      await expect(readAll(store, 'doc'), what).rejects.toMatchObject(corrupt)
    }
    tampered.tamperCheckpoints((checkpoint) => ({ ...checkpoint, revision: 2 }))
    await expect(readAll(store, 'doc'), 'its revision').rejects.toMatchObject(corrupt)
    tampered.tamperCheckpoints((checkpoint) => ({ ...checkpoint, state: chunksOf(state) }))
    expect((await readAll(store, 'doc')).checkpoint?.state.length).toBe(700_000)
  })

  it('what was stored without encryption', async () => {
    const { plain, store } = open()
    await appendTo(plain, 'doc', sampleEntries(1))
    await expect(readAll(store, 'doc')).rejects.toMatchObject({
      code: 'store-misconfigured',
      message: expect.stringContaining('is not encrypted'),
    })
  })
})

describe('encrypted: keys', () => {
  const keys = { k1: sampleBytes(32, 1), k2: sampleBytes(32, 2) }

  it('rotate: old values stay readable, new ones need only the new key', async () => {
    const disk = new MemoryDisk()
    const under = (provider: KeyRing) => encrypted(new MemoryStore({ disk, retention }), provider)
    await appendTo(under(new KeyRing('k1', { k1: keys.k1 })), 'doc', sampleEntries(2))
    const rotating = under(new KeyRing('k2', keys))
    expect(await readTexts(rotating, 'doc')).toEqual(['1', '2'])
    await appendTo(rotating, 'doc', sampleEntries(1, 'new'))
    const onlyNew = under(new KeyRing('k2', { k2: keys.k2 }))
    await expect(readAll(onlyNew, 'doc')).rejects.toMatchObject({
      code: 'store-misconfigured',
      message: expect.stringContaining('"k1"'),
    })
    expect(await readTexts(onlyNew, 'doc', { after: 2 })).toEqual(['new1'])
    // A checkpoint and its retention end the need for the old key.
    await rotating.checkpoint('doc', sampleCheckpoint(3, sampleBytes(10)))
    expect((await readAll(onlyNew, 'doc')).checkpoint?.revision).toBe(3)
  })

  it('a provider may change its primary key while it is used', async () => {
    const disk = new MemoryDisk()
    const both = new KeyRing('k1', keys)
    const newer = new KeyRing('k2', keys)
    let primary = both
    const provider = {
      get primaryKeyId() {
        return primary.primaryKeyId
      },
      wrap: (dataKey: Uint8Array) => primary.wrap(dataKey),
      unwrap: (keyId: string, wrapped: Uint8Array) => primary.unwrap(keyId, wrapped),
    }
    const store = encrypted(new MemoryStore({ disk }), provider)
    await appendTo(store, 'doc', sampleEntries(1))
    primary = newer
    await appendTo(store, 'doc', sampleEntries(1))
    const onlyNew = encrypted(new MemoryStore({ disk }), new KeyRing('k2', { k2: keys.k2 }))
    expect(await readTexts(onlyNew, 'doc', { after: 1 })).toEqual(['1'])
  })

  it('another key of the same id opens nothing', async () => {
    const disk = new MemoryDisk()
    await appendTo(
      encrypted(new MemoryStore({ disk }), new KeyRing('k', { k: keys.k1 })),
      'doc',
      sampleEntries(1),
    )
    const wrong = encrypted(new MemoryStore({ disk }), new KeyRing('k', { k: keys.k2 }))
    await expect(readAll(wrong, 'doc')).rejects.toMatchObject({ code: 'store-misconfigured' })
  })

  it('are parsed from lines or commas; what is wrong is said without showing a key', () => {
    const [one, two] = [generateKeyLine('a'), generateKeyLine('b')]
    expect(parseKeyRing(`# comment\n${one}\n\n${two}\n`).keyIds).toEqual(['a', 'b'])
    expect(parseKeyRing(`${two},${one}`).primaryKeyId).toBe('b')
    for (const text of [
      '',
      '# nothing',
      'no-colon-secretsecret',
      'a:c2hvcnQ=',
      `${one}\n${one}`,
      `${one}${two}`,
      one.slice(0, -1),
      `b c:${one.slice(2)}`,
    ]) {
      expect(() => parseKeyRing(text)).toThrow(TypeError)
      expect(() => parseKeyRing(text)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining('secretsecret') }),
      )
    }
  })
})

it('encrypted: two nodes that write to one document at once both get through, in one order', async () => {
  const disk = new MemoryDisk()
  const nodes = [1, 2, 3].map(() => encrypted(new SharedMemoryStore({ disk }), ring))
  const calls = nodes.flatMap((node, index) =>
    Array.from({ length: 40 }, (_, call) => appendTo(node, 'doc', [sampleEntry(`${index}:${call}`)])),
  )
  const places = (await Promise.all(calls)).map(({ first }) => first)
  expect(new Set(places).size).toBe(120)
  const read = await Promise.all(nodes.map((node) => readTexts(node, 'doc')))
  expect(read[0]?.length).toBe(120)
  expect(read[1]).toEqual(read[0])
  expect(new Set(read[2]).size).toBe(120)
})

it('encrypted: a checkpoint of many chunks is opened chunk by chunk', async () => {
  const { store } = open()
  await appendTo(store, 'doc', sampleEntries(1))
  await store.checkpoint('doc', sampleCheckpoint(1, sampleBytes(2_000_000)))
  for await (const item of store.read('doc')) {
    if (!('state' in item)) continue
    const sizes: number[] = []
    for await (const chunk of item.state) sizes.push(chunk.length)
    expect(Math.max(...sizes)).toBe(256 << 10)
    expect(sizes.reduce((sum, size) => sum + size)).toBe(2_000_000)
  }
})

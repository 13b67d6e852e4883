import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isPolyphonyError } from '@polyphony/core'
import { openLevelStore } from '@polyphony/storage-level'
import {
  appendTo,
  collect,
  expectEqual,
  readAll,
  sampleBytes,
  sampleCheckpoint,
  sampleEntry,
  type ReadResult,
} from '@polyphony/storage/testing'
import { expect, it } from 'vitest'
import { withTemporaryDirectory } from './support/temporary-directory.ts'

const documents = Array.from({ length: 12 }, (_, index) => `document-${index}`)

/** Twelve documents in tables on disk: entries of 4 KB, one of 300 KB, half of them with a checkpoint. */
async function fill(directory: string): Promise<Map<string, ReadResult>> {
  const store = await openLevelStore(directory, { retention: { entries: 0, bytes: 0, ageMs: 0 } })
  const contents = new Map<string, ReadResult>()
  for (const [index, documentId] of documents.entries()) {
    const sizes = [...Array.from({ length: 30 }, () => 4000), 300_000]
    await appendTo(
      store,
      documentId,
      sizes.map((size, entry) => sampleEntry(sampleBytes(size, index * 100 + entry + 1))),
    )
    if (index % 2 === 0)
      await store.checkpoint(documentId, sampleCheckpoint(15, sampleBytes(300_000, index + 7)))
    contents.set(documentId, await readAll(store, documentId))
  }
  await store.close()
  // Opening moves what the log holds into tables.
  const again = await openLevelStore(directory)
  await again.close()
  return contents
}

it(
  'a damaged byte in a table is found, named and confined to its documents, wherever it is',
  { timeout: 300_000 },
  async () => {
    await withTemporaryDirectory(async (parent) => {
      const original = join(parent, 'original')
      const contents = await fill(original)
      const tables = (await readdir(original)).filter((name) => name.endsWith('.ldb'))
      const sizes = await Promise.all(
        tables.map(async (name) => (await readFile(join(original, name))).length),
      )
      const total = sizes.reduce((sum, size) => sum + size, 0)
      expect(total).toBeGreaterThan(4 << 20)
      const outcomes = { intact: 0, damaged: 0, refused: 0 }
      const places = process.env['POLYPHONY_SOAK'] === '1' ? 200 : 24
      for (let place = 0; place < places; place++) {
        const copy = join(parent, `copy-${place}`)
        await cp(original, copy, { recursive: true })
        // Evenly over all tables, the last bytes (indexes and footers) included.
        let at = Math.floor(((place + 0.5) / places) * total)
        let table = 0
        while (at >= (sizes[table] ?? 0)) at -= sizes[table++] ?? 0
        if (place % 8 === 7) at = (sizes[table] ?? 0) - 1 - place * 5
        await flip(join(copy, tables[table] ?? ''), at)
        const damaged = await inspect(copy, contents)
        if (damaged === 'refused') outcomes.refused++
        else if (damaged === 0) outcomes.intact++
        else outcomes.damaged++
        if (damaged !== 'refused' && place % 8 !== 7)
          expect(damaged, `documents hit by byte ${at}`).toBeLessThanOrEqual(2)
      }
      // Most bytes are content. A few are padding of the format or lie in what newer tables hide.
      expect(outcomes.damaged).toBeGreaterThan(places / 2)
    })
  },
)

it('a damaged byte in the log of the database is found in documents that were written to after it', async () => {
  await withTemporaryDirectory(async (directory) => {
    const store = await openLevelStore(directory)
    for (let round = 0; round < 200; round++)
      await store.append(
        documents.map((documentId) => ({ documentId, entries: [sampleEntry(sampleBytes(100, round + 1))] })),
      )
    await store.close()
    const log = (await readdir(directory)).find((name) => name.endsWith('.log')) ?? ''
    await flip(join(directory, log), Math.floor((await readFile(join(directory, log))).length / 2))
    const again = await openLevelStore(directory)
    for (const documentId of documents) {
      expect((await again.head(documentId))?.revision).toBe(200)
      await expect(readAll(again, documentId)).rejects.toMatchObject({
        code: 'store-corrupt',
        message: expect.stringMatching(new RegExp(`entry \\d+ of "${documentId}": it is missing`)),
        details: { documentId },
      })
    }
    await again.close()
  })
})

function withoutIncarnation({ checkpoint, entries }: ReadResult): unknown {
  return { checkpoint: { ...checkpoint, incarnation: undefined }, entries }
}

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] ?? 0) ^ 0x10
  await writeFile(path, bytes)
}

/** The number of documents that say they are damaged; all others are what they were, and take entries. */
async function inspect(
  directory: string,
  contents: ReadonlyMap<string, ReadResult>,
): Promise<number | 'refused'> {
  let store: Awaited<ReturnType<typeof openLevelStore>>
  try {
    store = await openLevelStore(directory)
  } catch (error) {
    // Damage to what holds the tables together: all or nothing, but said.
    expect(error).toMatchObject({ code: expect.stringMatching(/^store-(corrupt|failed)$/) })
    return 'refused'
  }
  let damaged = 0
  for (const [documentId, content] of contents) {
    try {
      const read = await readAll(store, documentId)
      expect(read.entries.length, documentId).toBe(content.entries.length)
      // A copy of a directory begins new incarnations, which is another matter.
      expectEqual(withoutIncarnation(read), withoutIncarnation(content), documentId)
      await appendTo(store, documentId, [sampleEntry('more')])
      expect((await readAll(store, documentId, { after: 31 })).entries.length).toBe(1)
    } catch (error) {
      if (!isPolyphonyError(error)) throw error
      expect(error.code).toBe('store-corrupt')
      expect(error.message).toContain(`"${documentId}"`)
      expect(error.details.documentId).toBe(documentId)
      damaged++
    }
  }
  await collect(store.list()).catch((error: unknown) =>
    expect(error).toMatchObject({ code: 'store-corrupt' }),
  )
  await store.close()
  return damaged
}

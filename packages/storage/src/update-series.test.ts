import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeUpdateSeries, encodeUpdateSeries } from './update-series.ts'

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** The same bytes in pieces of the given lengths, over and over. */
async function* cut(bytes: Uint8Array, lengths: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const length = lengths[index % lengths.length] ?? 1
    yield bytes.subarray(at, at + length)
    at += length
  }
}

// A Yjs update begins with a number of clients, which is a small one.
const update = fc.uint8Array({ minLength: 2, maxLength: 300 }).map((bytes) => Uint8Array.of(1, ...bytes))

describe('a series of updates', () => {
  test('comes back as it was, however its bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(update, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
        async (updates, lengths) => {
          const bytes = Buffer.concat(await collect(encodeUpdateSeries(updates)))
          expect(await collect(decodeUpdateSeries(cut(bytes, lengths), 'a'))).toEqual(updates)
          if (updates.length === 1) expect(new Uint8Array(bytes)).toEqual(updates[0])
        },
      ),
      { seed: 20261125, numRuns: 300 },
    )
  })

  test('is handed out in chunks of a bounded size', async () => {
    const chunks = await collect(encodeUpdateSeries([new Uint8Array(1 << 20), new Uint8Array(1)]))
    expect(Math.max(...chunks.map(({ length }) => length))).toBeLessThanOrEqual(256 << 10)
  })

  test('that ends too early is corrupt, wherever it ends', async () => {
    const bytes = Buffer.concat(
      await collect(encodeUpdateSeries([Uint8Array.of(1, 2, 3), Uint8Array.of(1, 4)])),
    )
    const whole = new Set([8, 15, bytes.length])
    for (let end = 8; end <= bytes.length; end++) {
      const reading = collect(decodeUpdateSeries(cut(bytes.subarray(0, end), [3]), 'notes/1'))
      if (whole.has(end)) await reading
      else
        await expect(reading).rejects.toMatchObject({
          code: 'store-corrupt',
          details: { documentId: 'notes/1' },
        })
    }
  })
})

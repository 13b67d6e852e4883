import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { deflateBlocks, gzipHead, GzipTail } from './gzip-blocks.ts'

const small = fc.uint8Array({ maxLength: 2_000 })
const large = fc
  .integer({ min: 60_000, max: 300_000 })
  .map((size) => Uint8Array.from({ length: size }, (_, at) => at % 251))

test('blocks compressed once make valid streams in any order and number', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 6, arbitrary: small }, large), { minLength: 1, maxLength: 5 }),
      fc.array(fc.nat(4), { maxLength: 8 }),
      async (pieces, order) => {
        const tail = new GzipTail()
        const stream: Uint8Array[] = [gzipHead]
        const expected: Uint8Array[] = []
        for (const index of order) {
          const piece = pieces[index % pieces.length]!
          tail.add(piece)
          stream.push(await deflateBlocks(piece))
          expected.push(piece)
        }
        stream.push(tail.encode())
        expect(gunzipSync(Buffer.concat(stream)).equals(Buffer.concat(expected))).toBe(true)
      },
    ),
    { seed: 20261124, numRuns: 100 },
  )
})

test('a piece is compressed once', async () => {
  const piece = new Uint8Array(100_000)
  const first = deflateBlocks(piece)
  expect(deflateBlocks(piece)).toBe(first)
  const blocks = await first
  expect(deflateBlocks(piece)).toBe(blocks)
})

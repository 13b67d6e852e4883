import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeChunk, decodeCheckpoint, encodeCheckpoint, encodeChunk } from './checkpoint-codec.ts'
import { chunkBytesMax, joinBytes, rechunk, splitChunks } from './chunks.ts'
import { crc32c } from './crc32c.ts'
import { decodeEntry, encodeEntry } from './entry-codec.ts'
import { openRecord, sealRecord } from './record.ts'

const seed = 4
const bytes = fc.uint8Array({ maxLength: 300 })
const name = { documentId: 'doc', revision: 7 }
const encoder = new TextEncoder()

/** Bit by bit, as the definition has it. */
function slowCrc32c(data: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of data) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

describe('crc32c', () => {
  it('gives the published check value', () => {
    expect(crc32c(encoder.encode('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array())).toBe(0)
  })

  it('equals the bitwise definition, in one piece and in two', () => {
    fc.assert(
      fc.property(bytes, fc.nat(300), (data, cut) => {
        expect(crc32c(data)).toBe(slowCrc32c(data))
        expect(crc32c(data.subarray(cut), crc32c(data.subarray(0, cut)))).toBe(slowCrc32c(data))
      }),
      { seed },
    )
  })
})

describe('record', () => {
  it('comes back as it was, also out of a larger buffer', () => {
    fc.assert(
      fc.property(fc.nat(255), bytes, fc.array(bytes, { maxLength: 4 }), (kind, context, parts) => {
        const record = sealRecord(kind, context, parts)
        const pooled = Buffer.concat([Buffer.alloc(3), record, Buffer.alloc(3)]).subarray(
          3,
          3 + record.length,
        )
        const place = { kind, context, what: 'it' }
        expect(openRecord(record, place)).toEqual(joinBytes(parts))
        expect(openRecord(pooled, place)).toEqual(new Uint8Array(joinBytes(parts)))
      }),
      { seed },
    )
  })

  it('refuses every flipped bit, every cut, another kind, and another place', () => {
    const context = encoder.encode('here')
    const record = sealRecord(9, context, [encoder.encode('some content')])
    const open = (data: Uint8Array | undefined, kind = 9, where = context) => {
      return () => openRecord(data, { kind, context: where, documentId: 'doc', what: 'entry 3' })
    }
    const corrupt = expect.objectContaining({
      code: 'store-corrupt',
      message: expect.stringContaining('entry 3 of "doc"'),
    })
    for (let bit = 0; bit < record.length * 8; bit++) {
      const damaged = record.slice()
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(open(damaged)).toThrow(corrupt)
    }
    for (let length = 0; length < record.length; length++)
      expect(open(record.slice(0, length))).toThrow(corrupt)
    expect(open(undefined)).toThrow(corrupt)
    expect(open(record, 8)).toThrow(corrupt)
    expect(open(record, 9, encoder.encode('there'))).toThrow(corrupt)
    expect(open(record)()).toEqual(encoder.encode('some content'))
  })
})

describe('codecs', () => {
  const reference = fc.record({
    set: fc.stringMatching(/^[0-9a-f]{16}$/),
    count: fc.nat(1 << 20),
    bytes: fc.nat(),
  })

  it('an entry comes back as it was', () => {
    const meta = fc.record({ author: fc.string(), committedAtMs: fc.nat() })
    fc.assert(
      fc.property(meta, fc.nat(), fc.oneof(bytes, reference), bytes, (entryMeta, offset, update, context) => {
        const json = encoder.encode(JSON.stringify(entryMeta))
        const record = encodeEntry({ meta: json, offset, update }, context)
        expect(decodeEntry(record, context, name)).toEqual({ meta: entryMeta, offset, update })
      }),
      { seed },
    )
  })

  it('a checkpoint and a chunk come back as they were', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.nat(),
        reference,
        bytes,
        bytes,
        (revision, endOffset, chunks, stateVector, context) => {
          const checkpoint = { revision, endOffset, chunks, stateVector }
          expect(decodeCheckpoint(encodeCheckpoint(checkpoint, context), context, 'doc')).toEqual(checkpoint)
          const place = { documentId: 'doc', what: 'chunk 1' }
          expect(decodeChunk(encodeChunk(stateVector, context), context, place)).toEqual(stateVector)
        },
      ),
      { seed },
    )
  })

  it('the format of version 1 stays what it is', () => {
    const meta = encoder.encode('{"author":"a","committedAtMs":1}')
    const record = encodeEntry({ meta, offset: 5, update: Uint8Array.of(1, 2, 3) }, encoder.encode('key'))
    expect(Buffer.from(record).toString('hex')).toMatchInlineSnapshot(
      `"01018dc9eb0a00000000000000144020007b22617574686f72223a2261222c22636f6d6d697474656441744d73223a317d010203"`,
    )
    const chunks = { set: '00112233445566ff', count: 2, bytes: 300_000 }
    const checkpoint = { revision: 9, endOffset: 70, chunks, stateVector: Uint8Array.of(1, 5, 7) }
    expect(
      Buffer.from(encodeCheckpoint(checkpoint, encoder.encode('key'))).toString('hex'),
    ).toMatchInlineSnapshot(
      `"0102d4603cc80000000000002240000000000080514000112233445566ff0200000000000000804f1241010507"`,
    )
  })
})

describe('chunks', () => {
  it('splitting and rechunking keep the bytes, in chunks of the one size', async () => {
    const sizes = fc.oneof(
      fc.nat(50),
      fc.constantFrom(chunkBytesMax - 1, chunkBytesMax, chunkBytesMax + 1, 600_000),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(sizes, { maxLength: 6 }), async (lengths) => {
        const pieces = lengths.map((length, index) => new Uint8Array(length).fill(index + 1))
        async function* source() {
          yield* pieces
        }
        const whole = joinBytes(pieces)
        const chunks: Uint8Array[] = []
        for await (const chunk of rechunk(source())) chunks.push(chunk)
        for (const parts of [chunks, splitChunks(whole)]) {
          expect(Buffer.compare(joinBytes(parts), whole)).toBe(0)
          expect(parts.slice(0, -1).every(({ length }) => length === chunkBytesMax)).toBe(true)
          expect(parts.length).toBe(Math.ceil(whole.length / chunkBytesMax))
        }
      }),
      { seed, numRuns: 30 },
    )
  })
})

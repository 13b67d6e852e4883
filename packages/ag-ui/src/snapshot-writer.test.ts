import { StateDeltaEventSchema, StateSnapshotEventSchema } from '@ag-ui/core/schemas'
import { JsonView, type JsonObject } from '@polyphony/translator'
import jsonPatch from 'fast-json-patch'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { Frame } from './frame-list.ts'
import { snapshotFrames } from './snapshot-writer.ts'
import type { FrameContext } from './state-frames.ts'

const context: FrameContext = { documentId: 'notes/1', version: 'abc.7', frameBytesMax: 8 << 20 }

interface Parsed {
  readonly id: string
  readonly event: {
    readonly type: string
    readonly snapshot?: unknown
    readonly delta?: jsonPatch.Operation[]
    readonly metadata: { readonly polyphony: Record<string, unknown> }
  }
}

function parse({ bytes }: Frame): Parsed {
  const text = Buffer.from(bytes).toString()
  const [, id, data] = /^id: ([^\n]*)\ndata: ([^\n]*)\n\n$/.exec(text) ?? []
  return { id: id!, event: JSON.parse(data!) as Parsed['event'] }
}

/** The frames of a document that holds `state`; half of it as shared types, half as plain JSON. */
function framesOf(state: JsonObject, overrides: Partial<FrameContext> = {}, pointer = ''): Frame[] {
  const view = new JsonView(new Y.Doc({ gc: false }))
  view.assign(state)
  view.doc.getMap('state').set('plain', state)
  const frames: Frame[] = []
  for (const made of snapshotFrames(view.cursor({ pointer }), { ...context, ...overrides }))
    if (typeof made !== 'number') frames.push(made)
  return frames
}

/** Applies frames as a client does, and checks the chain of versions. */
function held(frames: readonly Frame[]): unknown {
  let state: unknown
  let at: unknown = null
  frames.forEach((frame, index) => {
    const { id, event } = parse(frame)
    const isLast = index === frames.length - 1
    const { previous, version, partial } = event.metadata.polyphony
    expect(previous).toBe(at)
    expect(id).toBe(isLast ? 'abc.7' : '')
    expect(partial).toBe(isLast ? undefined : true)
    expect(frame.kind).toBe(index === 0 ? 'snapshot' : 'delta')
    const schema = index === 0 ? StateSnapshotEventSchema : StateDeltaEventSchema
    expect(schema.safeParse(event).success).toBe(true)
    at = version
    state =
      event.type === 'STATE_SNAPSHOT'
        ? event.snapshot
        : jsonPatch.applyPatch(state, event.delta!, true, false).newDocument
  })
  return state
}

describe('snapshotFrames', () => {
  test('a state that fits is one snapshot with its version', () => {
    const frames = framesOf({ title: 'Ünïcode' })
    expect(frames.map(parse)).toEqual([
      {
        id: 'abc.7',
        event: {
          type: 'STATE_SNAPSHOT',
          snapshot: { title: 'Ünïcode', plain: { title: 'Ünïcode' } },
          metadata: { polyphony: { documentId: 'notes/1', version: 'abc.7', previous: null } },
        },
      },
    ])
  })

  test('a larger state comes in full frames below the limit, whatever it is made of', () => {
    let several = 0
    fc.assert(
      fc.property(
        fc.dictionary(
          fc
            .string({ maxLength: 12, unit: 'grapheme' })
            .filter((key) => key !== '__proto__' && key !== 'plain'),
          fc.jsonValue({ maxDepth: 5, stringUnit: 'grapheme' }),
          { maxKeys: 12 },
        ),
        fc.integer({ min: 900, max: 1_800 }),
        (state, frameBytesMax) => {
          fc.pre(!JSON.stringify(state).includes('__proto__'))
          const plain = JSON.parse(JSON.stringify(state)) as JsonObject
          const frames = framesOf(plain, { frameBytesMax })
          for (const { bytes } of frames) expect(bytes.byteLength).toBeLessThanOrEqual(frameBytesMax)
          expect(held(frames)).toEqual({ ...plain, plain })
          if (frames.length > 1) several += 1
        },
      ),
      { seed: 20261125, numRuns: 400 },
    )
    expect(several).toBeGreaterThan(100)
  })

  test('frames are as full as they can be', () => {
    const rows = Array.from({ length: 3_000 }, (_, index) => ({ id: index, text: `row ${index} äöü` }))
    const frames = framesOf({ rows }, { frameBytesMax: 20_000 })
    expect(held(frames)).toEqual({ rows, plain: { rows } })
    for (const { bytes } of frames.slice(0, -1)) expect(bytes.byteLength).toBeGreaterThan(18_500)
  })

  test('a part of a document, also when it is a single value', () => {
    const state = { list: [1, 2, [3]], text: 'x', none: null }
    for (const [pointer, value] of Object.entries({ '/list': [1, 2, [3]], '/text': 'x', '/none': null }))
      expect(held(framesOf(state, {}, pointer))).toEqual(value)
  })

  test('a single string beyond the limit is refused, and named', () => {
    const tooLarge = expect.objectContaining({
      code: 'document-too-large',
      message: expect.stringContaining('"/deep/text"'),
    })
    expect(() => framesOf({ deep: { text: 'x'.repeat(20_000) } }, { frameBytesMax: 10_000 })).toThrow(
      tooLarge,
    )
    expect(() => framesOf({ text: 'x'.repeat(20_000) }, { frameBytesMax: 10_000 }, '/text')).toThrow(
      expect.objectContaining({ code: 'document-too-large' }),
    )
  })
})

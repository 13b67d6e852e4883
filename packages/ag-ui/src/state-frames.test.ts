import { CustomEventSchema, StateDeltaEventSchema, StateSnapshotEventSchema } from '@ag-ui/core/schemas'
import { patched, type JsonValue, type SplicePatch } from '@polyphony/translator'
import jsonPatch from 'fast-json-patch'
import { expect, test } from 'vitest'
import { patchFrames, snapshotFrames, type FrameContext } from './state-frames.ts'
import type { Frame } from './frame-list.ts'
import { spliceEventName } from './state-event.ts'

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

interface CustomEvent {
  readonly name: string
  readonly value: SplicePatch
  readonly metadata: { readonly polyphony: Record<string, unknown> }
}

function isWellFormed(text: string): boolean {
  return Buffer.from(text).toString() === text
}

function parse({ bytes }: Frame): Parsed {
  const text = Buffer.from(bytes).toString()
  const [, id, data] = /^id: (.*)\ndata: (.*)\n\n$/.exec(text) ?? []
  return { id: id!, event: JSON.parse(data!) as Parsed['event'] }
}

test('a state that fits is one snapshot with its version', () => {
  const frames = [...snapshotFrames({ title: 'Ünïcode' }, context)].map(parse)
  expect(frames).toEqual([
    {
      id: 'abc.7',
      event: {
        type: 'STATE_SNAPSHOT',
        snapshot: { title: 'Ünïcode' },
        metadata: { polyphony: { documentId: 'notes/1', version: 'abc.7', previous: null } },
      },
    },
  ])
  expect(StateSnapshotEventSchema.safeParse(frames[0]?.event).success).toBe(true)
})

test('a delta says what it applies to', () => {
  const [frame] = [...patchFrames([{ op: 'add', path: '/a', value: 1 }], 'abc.5', context)].map(parse)
  expect(frame?.event.metadata.polyphony).toEqual({
    documentId: 'notes/1',
    version: 'abc.7',
    previous: 'abc.5',
  })
  expect(StateDeltaEventSchema.safeParse(frame?.event).success).toBe(true)
})

test('a larger state comes in frames below the limit, and only the last can be resumed from', () => {
  const state = {
    rows: Array.from({ length: 3_000 }, (_, index) => ({
      id: index,
      text: `row ${index} äöü`,
      done: index % 2 === 0,
    })),
    byKey: Object.fromEntries(
      Array.from({ length: 1_000 }, (_, index) => [`k/${index}~`, 'v'.repeat(index % 50)]),
    ),
    small: [1, [2, [3]], null],
  }
  const small = { ...context, frameBytesMax: 20_000 }
  const frames = [...snapshotFrames(state, small)]
  expect(frames.length).toBeGreaterThan(10)
  for (const { bytes } of frames) expect(bytes.byteLength).toBeLessThanOrEqual(20_000)
  let held: unknown
  let at: unknown = null
  const parsed = frames.map(parse)
  parsed.forEach(({ id, event }, index) => {
    const isLast = index === parsed.length - 1
    const { previous, version, partial } = event.metadata.polyphony
    expect(previous).toBe(at)
    expect(id).toBe(isLast ? 'abc.7' : '')
    expect(partial).toBe(isLast ? undefined : true)
    at = version
    held =
      event.type === 'STATE_SNAPSHOT'
        ? event.snapshot
        : jsonPatch.applyPatch(held, event.delta!, true, false).newDocument
  })
  expect(held).toEqual(state)
})

test('a delta that is too large comes in several', () => {
  const patch = Array.from(
    { length: 500 },
    (_, index) => ({ op: 'add', path: `/k${index}`, value: 'x'.repeat(100) }) as const,
  )
  const frames = [...patchFrames(patch, 'abc.6', { ...context, frameBytesMax: 10_000 })].map(parse)
  expect(frames.length).toBeGreaterThan(3)
  expect(frames.map(({ event }) => event.metadata.polyphony['previous'])).toEqual([
    'abc.6',
    ...Array<string>(frames.length - 1).fill('abc.7'),
  ])
  expect(frames.flatMap(({ event }) => event.delta)).toEqual(patch)
})

test('a single string beyond the limit is refused', () => {
  expect(() => [...snapshotFrames('x'.repeat(20_000), { ...context, frameBytesMax: 10_000 })]).toThrow(
    expect.objectContaining({ code: 'document-too-large' }),
  )
})

test('a patch with splices is a CUSTOM event, cut into as many as it takes', () => {
  const body = 'x😀ä"'.repeat(4_000)
  const patch = [
    { op: 'add', path: '/title', value: 'new' },
    { op: 'splice', path: '/body', index: 5, remove: 2, insert: body },
  ] as const
  const small = { ...context, frameBytesMax: 5_000 }
  const frames = [...patchFrames(patch, 'abc.5', small)]
  expect(frames.length).toBeGreaterThan(5)
  let state: JsonValue = { title: 'old', body: '0123456789' }
  let at: unknown = 'abc.5'
  for (const frame of frames) {
    expect(frame.bytes.byteLength).toBeLessThanOrEqual(5_000)
    const event = parse(frame).event as unknown as CustomEvent
    expect(CustomEventSchema.safeParse(event).success).toBe(true)
    expect(event.name).toBe(spliceEventName)
    expect(event.metadata.polyphony.previous).toBe(at)
    at = event.metadata.polyphony.version
    for (const operation of event.value)
      if (operation.op === 'splice') expect(isWellFormed(operation.insert)).toBe(true)
    state = patched(state, event.value)
  }
  expect(state).toEqual({ title: 'new', body: `01234${body}789` })
})

test('without splices the same reader gets a STATE_DELTA', () => {
  const [frame] = [...patchFrames([{ op: 'add', path: '/a', value: 1 }], 'abc.5', context)].map(parse)
  expect(frame?.event.type).toBe('STATE_DELTA')
})

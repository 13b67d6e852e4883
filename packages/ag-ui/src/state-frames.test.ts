import { CustomEventSchema, StateDeltaEventSchema } from '@ag-ui/core/schemas'
import { patched, type JsonValue, type SplicePatch } from '@polyphony/translator'
import type { Operation } from 'fast-json-patch'
import { expect, test } from 'vitest'
import { patchFrames, type FrameContext } from './state-frames.ts'
import type { Frame } from './frame-list.ts'
import { spliceEventName } from './state-event.ts'

const context: FrameContext = { documentId: 'notes/1', version: 'abc.7', frameBytesMax: 8 << 20 }

interface Parsed {
  readonly id: string
  readonly event: {
    readonly type: string
    readonly snapshot?: unknown
    readonly delta?: Operation[]
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

test('a delta says what it applies to', () => {
  const [frame] = [...patchFrames([{ op: 'add', path: '/a', value: 1 }], 'abc.5', context)].map(parse)
  expect(frame?.event.metadata.polyphony).toEqual({
    documentId: 'notes/1',
    version: 'abc.7',
    previous: 'abc.5',
  })
  expect(StateDeltaEventSchema.safeParse(frame?.event).success).toBe(true)
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

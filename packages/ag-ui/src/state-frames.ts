import type { SplicePatch } from '@polyphony/translator'
import type { Frame } from './frame-list.ts'
import { cutPatch } from './json-pieces.ts'
import { encodeSse } from './sse.ts'
import { encodeDeltaEvent, encodeSpliceEvent, type StateStamp } from './state-event.ts'

export interface FrameContext {
  readonly documentId: string
  /** Token of the version that the frames lead to. */
  readonly version: string
  /** Bytes of one frame, envelope included. */
  readonly frameBytesMax: number
}

/** Room for everything in a frame but the state or patch: document id, two tokens, names. */
export function envelopeBytes(context: FrameContext, previous: string): number {
  return 512 + 6 * (context.documentId.length + context.version.length * 2 + previous.length)
}

/**
 * Frames that take a reader from the version `previous` on: one STATE_DELTA, or several when it would be too large. A
 * patch with splices comes as CUSTOM events instead, so only readers that asked for splices may be given one.
 */
export function patchFrames(patch: SplicePatch, previous: string, context: FrameContext): Generator<Frame> {
  return deltaFrames(patch, previous, context, {
    bytesMax: context.frameBytesMax - envelopeBytes(context, previous),
    encode: patch.some(({ op }) => op === 'splice') ? encodeSpliceEvent : encodeDeltaEvent,
  })
}

interface DeltaForm {
  readonly bytesMax: number
  readonly encode: (patchText: string, stamp: StateStamp) => string
}

function* deltaFrames(
  patch: Iterable<SplicePatch[number]>,
  previous: string,
  context: FrameContext,
  { bytesMax, encode }: DeltaForm,
): Generator<Frame> {
  const deltaFrame = (text: string, from: string, partial: boolean): Frame =>
    frame('delta', encode(text, stamp(context, from, partial)), context, partial)
  let from = previous
  let held: string | undefined
  // Only what comes last may carry the version as a place to resume from, so each text waits for the next one.
  for (const text of cutPatch(patch, bytesMax)) {
    if (held !== undefined) {
      yield deltaFrame(held, from, true)
      from = context.version
    }
    held = text
  }
  if (held !== undefined) yield deltaFrame(held, from, false)
}

function frame(kind: Frame['kind'], data: string, context: FrameContext, partial: boolean): Frame {
  return { kind, bytes: encodeSse({ data, id: partial ? '' : context.version }) }
}

function stamp(context: FrameContext, previous: string | null, partial: boolean): StateStamp {
  const { documentId, version } = context
  return { documentId, version, previous, ...(partial ? { partial } : {}) }
}

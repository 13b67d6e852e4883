import { encodeSse, sseKeepAlive } from '@polyphony/ag-ui'
import { PolyphonyError } from '@polyphony/core'
import { encodeProtobuf, protobufKeepAlive, protobufMediaType } from './protobuf.ts'

/** How the events of a feed are written into an HTTP answer. */
export interface FeedFormat {
  readonly contentType: string
  /** From frames of a `text/event-stream`, which is how events are made. Shared frames are converted once. */
  readonly encode: (frames: Uint8Array) => Uint8Array
  /** Frames of a `text/event-stream` that keep a quiet connection open. */
  readonly keepAlive: Uint8Array
}

export const sseFormat: FeedFormat = {
  contentType: 'text/event-stream; charset=utf-8',
  encode: (frames) => frames,
  keepAlive: sseKeepAlive,
}

export const protobufFormat: FeedFormat = {
  contentType: protobufMediaType,
  encode: encodeProtobuf,
  keepAlive: encodeSse({ data: protobufKeepAlive }),
}

/**
 * What an `Accept` header asks for. Protobuf goes only to who names it, at least as high as `text/event-stream`: who says
 * just that anything will do, as most HTTP clients do, could not read it. Throws `not-acceptable`.
 */
export function negotiateFormat(accept: string | undefined): FeedFormat {
  if (accept === undefined || accept.trim() === '') return sseFormat
  const weights = new Map(accept.split(',').map(weightOf))
  const protobuf = weights.get(protobufMediaType) ?? 0
  const sse = weights.get('text/event-stream') ?? weights.get('text/*') ?? weights.get('*/*') ?? 0
  const isListed = weights.has('text/event-stream')
  if (protobuf > 0 && (!isListed || protobuf >= sse)) return protobufFormat
  if (sse > 0) return sseFormat
  throw new PolyphonyError(
    'not-acceptable',
    `Runs are answered with text/event-stream or ${protobufMediaType}.`,
  )
}

function weightOf(range: string): readonly [mediaType: string, weight: number] {
  const [mediaType = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
  const weight = parameters.map((parameter) => /^q=([01](?:\.\d{0,3})?)$/.exec(parameter)?.[1]).find(Boolean)
  return [mediaType, weight === undefined ? 1 : Number(weight)]
}

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { JsonCursor } from '@polyphony/translator'
import { createCompressor, negotiateEncoding } from './content-encoding.ts'
import { jsonTexts } from './json-texts.ts'
import type { Exchange } from './request-handler.ts'

type Headers = Readonly<Record<string, string>>

/** Answers with a small JSON value. */
export function sendJson(exchange: Exchange, status: number, body: unknown, headers: Headers = {}): void {
  const text = Buffer.from(JSON.stringify(body))
  exchange.response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': text.byteLength, ...headers })
    .end(exchange.request.method === 'HEAD' ? undefined : text)
}

/** Answers without a body. */
export function sendEmpty(exchange: Exchange, status: number, headers: Headers = {}): void {
  exchange.response.writeHead(status, headers).end()
}

/** Answers with bytes. */
export function sendBytes(exchange: Exchange, body: Uint8Array, headers: Headers = {}): Promise<void> {
  const pieces = function* (): Generator<Uint8Array> {
    for (let at = 0; at < body.byteLength; at += pieceBytes) yield body.subarray(at, at + pieceBytes)
  }
  return sendPieces(exchange, pieces(), { 'content-type': 'application/octet-stream', ...headers })
}

/**
 * Answers with the JSON that a cursor walks through, of any size: made into text and sent piece by piece, as fast as it is
 * read, so that it is never in memory as a whole and others get their turn.
 */
export function sendState(exchange: Exchange, cursor: JsonCursor, headers: Headers = {}): Promise<void> {
  return sendPieces(exchange, jsonTexts(cursor, stateTextLength), {
    'content-type': 'application/json',
    ...headers,
  })
}

const pieceBytes = 256 << 10
const stateTextLength = 64 << 10
/** Compressing less is not worth its head. */
const compressedBytesMin = 1_024

async function sendPieces(
  exchange: Exchange,
  pieces: Iterator<string | Uint8Array>,
  headers: Headers,
): Promise<void> {
  const { request, response } = exchange
  const first = await nextPiece(pieces)
  const second = first.done === true ? first : await nextPiece(pieces)
  const head = Buffer.from(first.done === true ? '' : first.value)
  const encoding =
    second.done === true && head.byteLength < compressedBytesMin
      ? undefined
      : negotiateEncoding(request.headers['accept-encoding'], ['br', 'gzip'])
  response.setHeader('vary', appendVary(response.getHeader('vary')))
  if (second.done === true && encoding === undefined) {
    response.writeHead(200, { ...headers, 'content-length': head.byteLength }).end(head)
    return
  }
  response.writeHead(200, { ...headers, ...(encoding === undefined ? {} : { 'content-encoding': encoding }) })
  const body = Readable.from(sliced([head, second, pieces]), { objectMode: false, highWaterMark: pieceBytes })
  if (encoding === undefined) await pipeline(body, response)
  else await pipeline(body, createCompressor(encoding), response)
}

/** Lets everybody else have a turn between two pieces. */
async function* sliced([head, second, rest]: readonly [
  Uint8Array,
  IteratorResult<string | Uint8Array, unknown>,
  Iterator<string | Uint8Array>,
]): AsyncGenerator<Uint8Array> {
  yield head
  for (let next = second; next.done !== true; next = await nextPiece(rest)) {
    yield typeof next.value === 'string' ? Buffer.from(next.value) : next.value
    await turn()
  }
}

/** The next piece that is not empty. */
async function nextPiece(
  pieces: Iterator<string | Uint8Array>,
): Promise<IteratorResult<string | Uint8Array, unknown>> {
  for (;;) {
    const next = pieces.next()
    if (next.done === true || next.value.length > 0) return next
    await turn()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function appendVary(before: unknown): string {
  return typeof before === 'string' && before !== '' ? `${before}, Accept-Encoding` : 'Accept-Encoding'
}
